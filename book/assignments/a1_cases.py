"""Teachers only: what the marks of A1 (a leaky RNN) are computed from.

References sum entry by entry, in the order of the equations; none is shared with the
master's solutions.
"""

import math

import numpy as np

from unrolled.course.assignments import Assignment, Case, Given, Question

GIVEN = '''
def square_step(x_t, h_prev, u, v):
    """h_t of equation (4)."""
    return u * h_prev**2 + x_t * v


def square_step_backward(dh_t, x_t, h_prev, u, v):
    """(dx_t, dh_prev, du, dv) of equation (4)."""
    dx_t = (dh_t * v).sum(axis=1, keepdims=True)
    dh_prev = dh_t * 2 * u * h_prev
    du = (dh_t * h_prev**2).sum(axis=0)
    dv = (dh_t * x_t).sum(axis=0, keepdims=True)
    return dx_t, dh_prev, du, dv
'''


def leaks(p):
    """(alpha, 1 - alpha) of each unit, as lists; no exponential overflows."""
    halves = [math.tanh(float(number) / 2) / 2 for number in p]
    return [0.5 + half for half in halves], [0.5 - half for half in halves]


def sizes(rng):
    """Batch, features and units, all different, from 3 to 6."""
    return (int(size) for size in rng.choice(np.arange(3, 7), 3, replace=False))


def draw(rng, B, F, H):
    """Arguments of `leaky_step`, by name."""
    return {
        "x_t": rng.normal(size=(B, F)),
        "h_prev": rng.uniform(-1, 1, (B, H)),
        "W_xh": rng.normal(size=(F, H)) / 2,
        "W_hh": rng.normal(size=(H, H)) / 2,
        "b_h": rng.normal(size=H) / 2,
        "p": rng.normal(size=H),
    }


def open_and_shut(rng, H):
    """p of leaks of 0 and 1, and at least one between: (H,)."""
    return rng.permutation(np.concatenate([[-800, 800], rng.normal(size=H - 2)]))


def candidate_of(x_t, h_prev, W_xh, W_hh, b_h):
    """tanh(a_t) of equation (1), entry by entry: (B, H)."""
    candidate = np.empty(h_prev.shape)
    for b, k in np.ndindex(h_prev.shape):
        a = b_h[k]
        a += sum(x_t[b, j] * W_xh[j, k] for j in range(len(W_xh)))
        a += sum(h_prev[b, j] * W_hh[j, k] for j in range(len(W_hh)))
        candidate[b, k] = math.tanh(a)
    return candidate


def leaky_step(x_t, h_prev, W_xh, W_hh, b_h, p):
    """Reference of question 1."""
    alpha, kept = leaks(p)
    candidate = candidate_of(x_t, h_prev, W_xh, W_hh, b_h)
    h_t = np.empty(h_prev.shape)
    for b, k in np.ndindex(h_t.shape):
        h_t[b, k] = kept[k] * h_prev[b, k] + alpha[k] * candidate[b, k]
    return h_t


def step_cases(rng):
    """Cases of question 1."""
    B, F, H = sizes(rng)
    return [
        Case("several sequences", draw(rng, B, F, H)),
        Case("a batch of one", draw(rng, 1, F, H)),
        Case(
            "leaks of 0 and 1 beside others",
            draw(rng, B, F, H) | {"p": open_and_shut(rng, H)},
        ),
    ]


def leaky_step_backward(dh_t, x_t, h_prev, W_xh, W_hh, b_h, p):
    """Reference of question 2: every path of equation (1), one number at a time."""
    alpha, kept = leaks(p)
    candidate = candidate_of(x_t, h_prev, W_xh, W_hh, b_h)
    dx_t, dW_xh, dW_hh, db_h = map(
        np.zeros, (x_t.shape, W_xh.shape, W_hh.shape, len(p))
    )
    dh_prev = np.zeros(h_prev.shape)
    for b, k in np.ndindex(h_prev.shape):
        dh_prev[b, k] += dh_t[b, k] * kept[k]
        slope = (1 + candidate[b, k]) * (1 - candidate[b, k])
        through_a = dh_t[b, k] * alpha[k] * slope
        db_h[k] += through_a
        for j in range(len(W_xh)):
            dx_t[b, j] += through_a * W_xh[j, k]
            dW_xh[j, k] += through_a * x_t[b, j]
        for j in range(len(W_hh)):
            dh_prev[b, j] += through_a * W_hh[j, k]
            dW_hh[j, k] += through_a * h_prev[b, j]
    return dx_t, dh_prev, dW_xh, dW_hh, db_h


def back_cases(rng):
    """Cases of question 2."""
    B, F, H = sizes(rng)

    def arguments(B, **others):
        return {"dh_t": rng.normal(size=(B, H))} | draw(rng, B, F, H) | others

    saturated = rng.normal(size=H)
    saturated[rng.integers(H)] = 60.0
    return [
        Case("several sequences", arguments(B), 2),
        Case("a batch of one", arguments(1)),
        Case(
            "the first step, from a state of zero",
            arguments(B, h_prev=np.zeros((B, H))),
        ),
        Case("leaks of 0 and 1 beside others", arguments(B, p=open_and_shut(rng, H))),
        Case("a saturated unit", arguments(B, b_h=saturated)),
    ]


def leak_gradient(dh_t, h_prev, h_t, p):
    """Reference of question 3."""
    _, kept = leaks(p)
    dp = np.zeros(len(p))
    for b, k in np.ndindex(h_t.shape):
        dp[k] += dh_t[b, k] * kept[k] * h_t[b, k]
        dp[k] -= dh_t[b, k] * kept[k] * h_prev[b, k]
    return dp


def leak_cases(rng):
    """Cases of question 3: the states of real steps."""
    B, F, H = sizes(rng)

    def case(name, points, B, **others):
        step = draw(rng, B, F, H) | others
        states = {"h_prev": step["h_prev"], "h_t": leaky_step(**step), "p": step["p"]}
        return Case(name, {"dh_t": rng.normal(size=(B, H))} | states, points)

    return [
        case("several sequences", 1, B),
        case("a batch of one", 0.5, 1),
        case("leaks of 0 and 1 beside others", 0.5, B, p=open_and_shut(rng, H)),
    ]


def bptt(xs, h_0, dhs, parameters, step, step_backward):
    """Reference of question 4: each step's loss walks back to the start on its own."""
    states = [h_0]
    for x_t in xs:
        states.append(step(x_t, states[-1], *parameters))
    total = [np.zeros(shape) for shape in (xs.shape, h_0.shape)]
    total += [np.zeros(w.shape) for w in parameters]
    for s in range(len(xs)):
        dh = dhs[s]
        for t in range(s, -1, -1):
            dx, dh, *dw = step_backward(dh, xs[t], states[t], *parameters)
            total[0][t] += dx
            for k, part in enumerate(dw, start=2):
                total[k] += part
        total[1] += dh
    return tuple(total)


def through_time_cases(rng):
    """Cases of question 4."""

    def case(name, T, last_only=False):
        B, _, H = sizes(rng)
        dhs = rng.normal(size=(T, B, H))
        if last_only:
            dhs[:-1] = 0
        arguments = {
            "xs": rng.uniform(-1, 1, (T, B, 1)),
            "h_0": rng.uniform(-1, 1, (B, H)),
            "dhs": dhs,
            # |h| stays below 1.4, and no slope is above 0.6
            "parameters": (rng.uniform(0.1, 0.2, H), rng.uniform(-1, 1, (1, H))),
            "step": Given("square_step"),
            "step_backward": Given("square_step_backward"),
        }
        return Case(name, arguments)

    return [
        case("seven steps", 7),
        case("one step", 1),
        case("thirty steps", 30),
        case("a loss at the last of eight steps only", 8, last_only=True),
    ]


def gradient_reach(candidates, W_hh, p):
    """Reference of question 5: every Jacobian entry by entry, every product anew."""
    (T, H), (alpha, kept) = candidates.shape, leaks(p)
    jacobians = np.zeros((T, H, H))
    for s, k, j in np.ndindex(T, H, H):
        jacobians[s, k, j] = alpha[k] * (1 - candidates[s, k] ** 2) * W_hh[j, k]
        jacobians[s, k, j] += kept[k] if j == k else 0
    r = []
    for t in range(T + 1):
        product = np.eye(H)
        for s in range(t, T):
            product = np.einsum("ij,jk->ik", jacobians[s], product)
        r.append(np.linalg.svd(product, compute_uv=False)[0])
    return np.array(r)


def reach_cases(rng):
    """Cases of question 5; weights so large that no product disappears."""

    def case(name, T, H, p):
        arguments = {
            "candidates": rng.uniform(-0.8, 0.8, (T, H)),
            "W_hh": 1.5 * rng.normal(size=(H, H)) / np.sqrt(H),
            "p": p,
        }
        return Case(name, arguments)

    few, H = int(rng.integers(4, 8)), int(rng.integers(3, 6))
    return [
        case("one unit", 3, 1, rng.normal(size=1)),
        case("a few steps", few, H + 3, rng.normal(size=H + 3)),
        case("twenty steps, leaks of 0 and 1 among them", 20, H, open_and_shut(rng, H)),
    ]


ASSIGNMENT = Assignment(
    name="a1",
    title="A leaky RNN and its backpropagation through time",
    given=GIVEN,
    questions=(
        Question("q1", "one step", "leaky_step", ("h_t",), step_cases, leaky_step),
        Question(
            "q2",
            "one step back",
            "leaky_step_backward",
            ("dx_t", "dh_prev", "dW_xh", "dW_hh", "db_h"),
            back_cases,
            leaky_step_backward,
        ),
        Question(
            "q3",
            "the gradient of the leak",
            "leak_gradient",
            ("dp",),
            leak_cases,
            leak_gradient,
        ),
        Question(
            "q4",
            "backpropagation through time",
            "bptt",
            ("dxs", "dh_0", "du", "dv"),
            through_time_cases,
            bptt,
        ),
        Question(
            "q5",
            "how far a gradient reaches",
            "gradient_reach",
            ("r",),
            reach_cases,
            gradient_reach,
        ),
    ),
)
