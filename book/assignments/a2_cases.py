"""Teachers only: what the marks of A2 are computed from.

The references are written another way than the solution: number by number, sequence by
sequence with the padding cut out, by trial of all sizes.
"""

import math

import numpy as np

from unrolled.course.assignments import Assignment, Case, Given, Question

# Cells that no hand-out shows: nobody can have written them into questions 3 and 4.
GIVEN = '''
import numpy as np


def swing_step(x, h_prev, c_prev, M, W):
    """M (H, H), W (F, H): h and c, and a third value that nobody needs."""
    g = np.tanh(x @ W + h_prev @ M)
    c = 0.7 * c_prev + g
    return np.sin(c), c, g


def swing_step_back(dh, dc, x, h_prev, c_prev, M, W):
    """Gradients for x, h_prev, c_prev, M and W."""
    _, c, g = swing_step(x, h_prev, c_prev, M, W)
    dc = dc + dh * np.cos(c)
    da = dc * (1 - g**2)
    return da @ W.T, da @ M.T, 0.7 * dc, h_prev.T @ da, x.T @ da


def crossed_step(x, h_prev, c_prev, b, k, v, W):
    """b, k, v (H,), W (F, H): each state reads the other."""
    c = k * c_prev + v * np.sin(h_prev)
    return np.tanh(x @ W + b + c) + 0.3 * h_prev, c


def crossed_step_back(dh, dc, x, h_prev, c_prev, b, k, v, W):
    """Gradients for x, h_prev, c_prev, b, k, v and W."""
    h, _ = crossed_step(x, h_prev, c_prev, b, k, v, W)
    da = dh * (1 - (h - 0.3 * h_prev) ** 2)
    dc = dc + da
    dk, dv = (dc * c_prev).sum(axis=0), (dc * np.sin(h_prev)).sum(axis=0)
    dh_prev = 0.3 * dh + dc * v * np.cos(h_prev)
    return da @ W.T, dh_prev, dc * k, da.sum(axis=0), dk, dv, x.T @ da


def spring_step(x, h_prev, c_prev, W):
    """A single weight, W (F, H)."""
    c = 0.8 * c_prev - 0.5 * h_prev + x @ W
    return 0.4 * h_prev + np.tanh(c), c


def spring_step_back(dh, dc, x, h_prev, c_prev, W):
    """Gradients for x, h_prev, c_prev and W."""
    _, c = spring_step(x, h_prev, c_prev, W)
    dc = dc + dh * (1 - np.tanh(c) ** 2)
    return dc @ W.T, 0.4 * dh - 0.5 * dc, 0.8 * dc, x.T @ dc
'''
# Their weights, for F features and H units; no gradient explodes in thirty steps.
CELLS = {
    "swing": lambda rng, F, H: (
        0.5 * np.linalg.qr(rng.normal(size=(H, H)))[0],
        rng.normal(size=(F, H)) / 2,
    ),
    "crossed": lambda rng, F, H: (
        rng.normal(size=H) / 2,
        rng.uniform(0.5, 0.95, H),
        rng.uniform(0.1, 0.4, H) * rng.choice([-1, 1], H),
        rng.normal(size=(F, H)) / 2,
    ),
    "spring": lambda rng, F, H: (rng.normal(size=(F, H)) / 2,),
}


def logistic(a):
    """1 / (1 + exp(-a)) of one number; exp never sees a positive one."""
    return 1 / (1 + math.exp(-a)) if a > 0 else math.exp(a) / (1 + math.exp(a))


def coupled_step(x, h_prev, c_prev, W_x, W_h, b, w_o):
    """Question 1, number by number."""
    B, H = h_prev.shape
    h, c, g, f, o = made = np.zeros((5, B, H))
    a = np.einsum("nf,fj->nj", x, W_x) + np.einsum("nk,kj->nj", h_prev, W_h) + b
    for n, k in np.ndindex(B, H):
        g[n, k] = math.tanh(a[n, k])
        f[n, k] = logistic(a[n, H + k])
        c[n, k] = g[n, k] + f[n, k] * (c_prev[n, k] - g[n, k])
        o[n, k] = logistic(a[n, 2 * H + k] + w_o[k] * c[n, k])
        h[n, k] = o[n, k] * math.tanh(c[n, k])
    return tuple(made)


def coupled_step_backward(dh, dc, x, h_prev, c_prev, W_x, W_h, w_o, g, f, o, c):
    """Question 2: each unit's chain of derivatives, then sums over the batch."""
    B, H = h_prev.shape
    da, dc_prev, dw_o = np.zeros((B, 3, H)), np.zeros((B, H)), np.zeros(H)
    for n, k in np.ndindex(B, H):
        gate, state = o[n, k], math.tanh(c[n, k])
        o_by_a = gate * (1 - gate)
        h_by_c = gate / math.cosh(c[n, k]) ** 2 + state * o_by_a * w_o[k]
        to_c = dc[n, k] + dh[n, k] * h_by_c
        c_by_f, c_by_g = c_prev[n, k] - g[n, k], 1 - f[n, k]
        da[n, 0, k] = to_c * c_by_g * (1 + g[n, k]) * (1 - g[n, k])
        da[n, 1, k] = to_c * c_by_f * f[n, k] * (1 - f[n, k])
        da[n, 2, k] = dh[n, k] * state * o_by_a
        dc_prev[n, k] = to_c * f[n, k]
        dw_o[k] += da[n, 2, k] * c[n, k]
    da = da.reshape(B, 3 * H)
    return (
        np.einsum("nj,fj->nf", da, W_x),
        np.einsum("nj,kj->nk", da, W_h),
        dc_prev,
        np.einsum("nf,nj->fj", x, da),
        np.einsum("nk,nj->kj", h_prev, da),
        np.einsum("nj->j", da),
        dw_o,
    )


def run_sequence(step, x, mask, h_0, c_0, weights):
    """Question 3: one sequence after the other, without its padding."""
    B, T, _ = x.shape
    h, c = (np.zeros((B, T + 1, s.shape[1])) for s in (h_0, c_0))
    for n in range(B):
        at_h, at_c = h_0[n : n + 1], c_0[n : n + 1]
        h[n], c[n] = at_h, at_c
        for t in np.flatnonzero(mask[n]):
            at_h, at_c, *_ = step(x[n : n + 1, t], at_h, at_c, *weights)
            h[n, t + 1 :], c[n, t + 1 :] = at_h, at_c
    return h, c


def run_sequence_backward(step_back, dout, x, mask, h, c, weights):
    """Question 4: likewise; what padding sends goes to the last real step before it."""
    B, T, _ = x.shape
    dx, dh_0, dc_0 = np.zeros(x.shape), np.zeros(h[:, 0].shape), np.zeros(c[:, 0].shape)
    dweights = [np.zeros(w.shape) for w in weights]
    for n in range(B):
        one, real = slice(n, n + 1), np.flatnonzero(mask[n])
        ends = [*real, T]  # the states after step t last until the next real step
        dh_0[n], dc = dout[n, : ends[0]].sum(axis=0), c[one, 0] * 0
        carried = h[one, 0] * 0
        for k in reversed(range(len(real))):
            t, until = real[k], ends[k + 1]
            dh = carried + dout[one, t:until].sum(axis=1)
            found = step_back(dh, dc, x[one, t], h[one, t], c[one, t], *weights)
            dx[n, t], carried, dc = found[0][0], found[1], found[2]
            for total, part in zip(dweights, found[3:], strict=True):
                total += part
        dh_0[n] += carried[0]
        dc_0[n] = dc[0]
    return dx, dh_0, dc_0, *dweights


def nearest(features, lstm_units, vectors=4):
    """Units of question 5, and whether they have more parameters than the LSTM.

    `vectors`: three biases and a peephole; a wrong count has another number.
    """
    goal = 4 * (lstm_units * features + lstm_units**2 + lstm_units)
    units, closest, more = 0, math.inf, False
    for H in range(1, 3 * lstm_units + 3):
        above = 3 * H * features + 3 * H * H + vectors * H - goal
        if abs(above) < closest:
            units, closest, more = H, abs(above), above > 0
    return units, more


def fair_start(features, lstm_units, shortest, longest):
    """Question 5: trial of all sizes; the bias by a series where the gate is open."""
    units, _ = nearest(features, lstm_units)
    b = [0.0] * (3 * units)
    for k in range(units):
        growth = (longest / shortest) ** (k / (units - 1)) if units > 1 else 1
        z = math.log(2) / (shortest * growth)  # exp(-b_f) = exp(z) - 1
        small = z + z**2 / 2 + z**3 / 6
        b[units + k] = -math.log(small if z < 1e-5 else math.exp(z) - 1)
    return units, np.array(b)


def draw_step(rng, B, F, H, size=1.0):
    """Arguments of question 1."""
    return {
        "x": rng.normal(size=(B, F)),
        "h_prev": rng.uniform(-1, 1, (B, H)),
        "c_prev": rng.uniform(-1, 1, (B, H)),
        "W_x": size * rng.normal(size=(F, 3 * H)),
        "W_h": size * rng.normal(size=(H, 3 * H)),
        "b": size * rng.normal(size=3 * H),
        "w_o": 2 * rng.normal(size=H),
    }


def cases_1(rng):
    """Of question 1."""
    large = draw_step(rng, 2, 3, 4)
    signs = np.array([1, -1, -1, 1])
    large["b"] += 1000 * np.concatenate([0 * signs, signs, rng.permutation(signs)])
    return [
        Case("a batch of one", draw_step(rng, 1, 4, 3)),
        Case("all sizes different", draw_step(rng, 5, 2, 3)),
        Case("a single unit", draw_step(rng, 3, 2, 1)),
        Case("a thousand inside the sigma", large),
    ]


def draw_back(rng, B, F, H):
    """Arguments of question 2, of a step that was really made."""
    forward = draw_step(rng, B, F, H, size=0.6)
    _, c, g, f, o = coupled_step(**forward)
    del forward["b"]
    dh, dc = rng.normal(size=(2, B, H))
    return {"dh": dh, "dc": dc} | forward | {"g": g, "f": f, "o": o, "c": c}


def cases_2(rng):
    """Of question 2."""
    by_h, by_c = draw_back(rng, 4, 3, 2), draw_back(rng, 3, 2, 4)
    by_h["dc"] *= 0
    by_c["dh"] *= 0
    return [
        Case("a batch of one", draw_back(rng, 1, 4, 3)),
        Case("all sizes different", draw_back(rng, 5, 2, 3), 2),
        Case("the loss reads h alone", by_h),
        Case("the loss reads c alone", by_c),
    ]


def draw_run(rng, cell, B, T, F, H, mask):
    """x, mask, the states at the start and the weights of a cell."""
    x = rng.normal(size=(B, T, F))
    x[~mask] *= 20  # padding holds any numbers
    start = {"h_0": rng.uniform(-1, 1, (B, H)), "c_0": rng.normal(size=(B, H))}
    return {"x": x, "mask": mask} | start | {"weights": CELLS[cell](rng, F, H)}


def pad_right(B, T, rng):
    """Lengths from 1 to T - 1, all different."""
    return np.arange(T) < rng.permutation(np.arange(1, T))[:B, None]


def pad_anywhere(B, T, rng):
    """Half of it padding; it begins the first sequence and ends the last."""
    mask = rng.permuted(np.tile(np.arange(T) % 2 == 0, (B, 1)), axis=1)
    mask[0, :2], mask[-1, -2:] = (False, True), (True, False)
    return mask


def draw_cells(rng, number):
    """Names of cells in random order, each at least once."""
    return rng.permutation([*CELLS, *rng.choice([*CELLS], number - len(CELLS))])


def cases_3(rng):
    """Of question 3; which cell each case asks for is drawn."""
    cells = iter(draw_cells(rng, 3))

    def case(name, B, T, F, H, mask):
        cell = next(cells)
        step = {"step": Given(f"{cell}_step")}
        return Case(name, step | draw_run(rng, cell, B, T, F, H, mask))

    nothing = pad_anywhere(4, 6, rng)
    nothing[1] = False
    thirty = pad_anywhere(1, 30, rng)
    return [
        case("padded on the right", 3, 5, 2, 4, pad_right(3, 5, rng)),
        case("a sequence of padding only", 4, 6, 3, 2, nothing),
        case("a batch of one, thirty steps", 1, 30, 2, 3, thirty),
    ]


def draw_run_back(rng, cell, B, T, F, H, mask, last=False):
    """Arguments of question 4, of a run that was really made."""
    run = draw_run(rng, cell, B, T, F, H, mask)
    step = Assignment("", "", (), GIVEN).functions()[f"{cell}_step"]
    h, c = run_sequence(step, **run)
    dout = rng.normal(size=(B, T, H))
    if last:
        dout[:, :-1] = 0
    made = {"dout": dout, "x": run["x"], "mask": mask, "h": h, "c": c}
    back = {"step_back": Given(f"{cell}_step_back")}
    return back | made | {"weights": run["weights"]}


def cases_4(rng):
    """Of question 4; which cell each case asks for is drawn."""
    cells = iter(draw_cells(rng, 5))

    def case(name, B, T, F, H, mask, last=False):
        return Case(name, draw_run_back(rng, next(cells), B, T, F, H, mask, last))

    right, anywhere = pad_right(3, 5, rng), pad_anywhere(4, 6, rng)
    but_one, thirty = np.ones((2, 5), bool), pad_anywhere(2, 30, rng)
    but_one[1, 3] = False
    nothing = pad_anywhere(3, 4, rng)
    nothing[1] = False
    return [
        case("a single padded step", 2, 5, 4, 3, but_one),
        case(
            "padded on the right, the loss reads the last column",
            *(3, 5, 2, 4, right),
            last=True,
        ),
        case("padding anywhere, the loss reads every column", 4, 6, 3, 2, anywhere),
        case("a sequence of padding only", 3, 4, 2, 5, nothing),
        case("thirty steps", 2, 30, 4, 3, thirty),
    ]


def draw_sizes(rng, more, wrong):
    """Features and LSTM units: the right size has more than the LSTM, or it has not.

    Whoever counts as many vectors as one of `wrong` comes to another size.
    """
    while True:
        sizes = rng.integers(10, 60, 2)
        units, came = nearest(*sizes)
        if came == more and all(nearest(*sizes, v)[0] != units for v in wrong):
            return sizes


def cases_5(rng):
    """Of question 5."""

    def case(name, features, lstm_units, shortest, longest, points):
        sizes = {"features": int(features), "lstm_units": int(lstm_units)}
        times = {"shortest": float(shortest), "longest": float(longest)}
        return Case(name, sizes | times, points)

    fewer = draw_sizes(rng, False, (1, 3))  # no bias, no peephole
    more = draw_sizes(rng, True, (6, 7))  # two biases; and whoever rounds down
    begin, wide = rng.uniform(0.3, 3), rng.integers(50, 90)
    tie = (3, 9) if rng.random() < 0.5 else (11, 7)
    return [
        case("an ordinary layer", *fewer, begin, begin * rng.uniform(20, 50), 1),
        case("a single unit", wide, 1, begin, 100, 0.5),
        case("two sizes equally close", *tie, 1, rng.uniform(5, 50), 0.5),
        case("half-lives up to 1e17 steps", *more, 2, 1e17, 1),
    ]


# In 300 draws of all cases, answers computed in float32 throughout were off by 5e-6 at
# most, as a share of the largest entry; the closest of the known mistakes by 0.006.
TOLERANCE = 1e-4

ASSIGNMENT = Assignment(
    name="a2",
    title="A cell with coupled gates, forward and backward",
    questions=(
        Question(
            name="q1",
            title="one step",
            function="coupled_step",
            returns=("h", "c", "g", "f", "o"),
            cases=cases_1,
            reference=coupled_step,
            tolerance=TOLERANCE,
        ),
        Question(
            name="q2",
            title="one step back",
            function="coupled_step_backward",
            returns=("dx", "dh_prev", "dc_prev", "dW_x", "dW_h", "db", "dw_o"),
            cases=cases_2,
            reference=coupled_step_backward,
            tolerance=TOLERANCE,
        ),
        Question(
            name="q3",
            title="a run over padded sequences",
            function="run_sequence",
            returns=("h", "c"),
            cases=cases_3,
            reference=run_sequence,
            tolerance=TOLERANCE,
        ),
        Question(
            name="q4",
            title="back through time, past padding",
            function="run_sequence_backward",
            returns=("dx", "dh_0", "dc_0", "*dweights"),
            cases=cases_4,
            reference=run_sequence_backward,
            tolerance=TOLERANCE,
        ),
        Question(
            name="q5",
            title="a fair size and a patient start",
            function="fair_start",
            returns=("units", "b"),
            cases=cases_5,
            reference=fair_start,
            tolerance=TOLERANCE,
        ),
    ),
    given=GIVEN,
)
