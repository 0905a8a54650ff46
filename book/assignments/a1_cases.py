"""Teachers only: what the marks of A1 (a leaky RNN) are computed from.

References sum entry by entry, in the order of the equations; none is shared with the
master's solutions.
"""

import math

import numpy as np

from unrolled.course.assignments import Assignment, Case, Given, Question

# Cells that no hand-out shows: nobody can have written them into question 4.
GIVEN = '''
import numpy as np


def bent_step(x_t, h_prev, V, s):
    """Two parameters: V (F, H) and s (H,)."""
    return np.sin(x_t @ V + h_prev * s)


def bent_step_backward(dh_t, x_t, h_prev, V, s):
    """dx_t, dh_prev, dV, ds."""
    da = dh_t * np.cos(x_t @ V + h_prev * s)
    return da @ V.T, da * s, x_t.T @ da, (da * h_prev).sum(axis=0)


def mixing_step(x_t, h_prev, M):
    """One parameter, M (H, H); every unit reads the sum of the inputs."""
    return np.tanh(h_prev @ M) + x_t.sum(axis=1, keepdims=True) / 2


def mixing_step_backward(dh_t, x_t, h_prev, M):
    """dx_t, dh_prev, dM."""
    da = dh_t * (1 - np.tanh(h_prev @ M) ** 2)
    dx_t = np.ones(x_t.shape) * dh_t.sum(axis=1, keepdims=True) / 2
    return dx_t, da @ M.T, h_prev.T @ da


def filling_step(x_t, h_prev, b, k, U, w):
    """Four parameters: b, k (H,), U (F, H) and a number w, (1,)."""
    return k * h_prev + w * np.tanh(x_t @ U + b)


def filling_step_backward(dh_t, x_t, h_prev, b, k, U, w):
    """dx_t, dh_prev, db, dk, dU, dw."""
    candidate = np.tanh(x_t @ U + b)
    da = dh_t * w * (1 - candidate**2)
    db, dk, dU = da.sum(axis=0), (dh_t * h_prev).sum(axis=0), x_t.T @ da
    return da @ U.T, dh_t * k, db, dk, dU, (dh_t * candidate).sum().reshape(1)
'''
# Their parameters, for F features and H units; no gradient explodes in thirty steps.
CELLS = {
    "bent": lambda rng, F, H: (rng.normal(size=(F, H)), rng.uniform(-0.9, 0.9, H)),
    "mixing": lambda rng, F, H: (0.8 * np.linalg.qr(rng.normal(size=(H, H)))[0],),
    "filling": lambda rng, F, H: (
        rng.normal(size=H),
        rng.uniform(0.3, 0.9, H),
        rng.normal(size=(F, H)) / 2,
        rng.uniform(0.5, 2, 1),
    ),
}


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
    """Cases of question 4; which cell each asks for is drawn, all where T > 1."""
    first, second, third = rng.permutation([*CELLS])

    def case(name, T, cell, last_only=False):
        B, F, H = sizes(rng)
        dhs = rng.normal(size=(T, B, H))
        if last_only:
            dhs[:-1] = 0
        arguments = {
            "xs": rng.uniform(-1, 1, (T, B, F)),
            "h_0": rng.uniform(-1, 1, (B, H)),
            "dhs": dhs,
            "parameters": CELLS[cell](rng, F, H),
            "step": Given(f"{cell}_step"),
            "step_backward": Given(f"{cell}_step_backward"),
        }
        return Case(name, arguments)

    return [
        case("seven steps", 7, first),
        case("one step", 1, rng.choice([*CELLS])),
        case("thirty steps", 30, second),
        case("a loss at the last of eight steps only", 8, third, last_only=True),
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


# In 300 draws of all cases, answers computed in float32 throughout were off by 5e-6 at
# most, as a share of the largest entry; the closest of the known mistakes by 0.05.
TOLERANCE = 1e-4

ASSIGNMENT = Assignment(
    name="a1",
    title="A leaky RNN and its backpropagation through time",
    given=GIVEN,
    questions=(
        Question(
            "q1",
            "one step",
            "leaky_step",
            ("h_t",),
            step_cases,
            leaky_step,
            tolerance=TOLERANCE,
        ),
        Question(
            "q2",
            "one step back",
            "leaky_step_backward",
            ("dx_t", "dh_prev", "dW_xh", "dW_hh", "db_h"),
            back_cases,
            leaky_step_backward,
            tolerance=TOLERANCE,
        ),
        Question(
            "q3",
            "the gradient of the leak",
            "leak_gradient",
            ("dp",),
            leak_cases,
            leak_gradient,
            tolerance=TOLERANCE,
        ),
        Question(
            "q4",
            "backpropagation through time",
            "bptt",
            ("dxs", "dh_0", "*gradients"),
            through_time_cases,
            bptt,
            tolerance=TOLERANCE,
        ),
        Question(
            "q5",
            "how far a gradient reaches",
            "gradient_reach",
            ("r",),
            reach_cases,
            gradient_reach,
            tolerance=TOLERANCE,
        ),
    ),
)
