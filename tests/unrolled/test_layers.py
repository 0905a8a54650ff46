"""Layers against central differences and against their own equations."""

import functools
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled import (
    GRU,
    LSTM,
    RNN,
    Attention,
    Bidirectional,
    Dense,
    Dropout,
    PeepholeLSTM,
    SequenceClassifier,
    SequenceRegressor,
    Stack,
    gradcheck,
    jacobians,
)

CELLS = {
    "RNN": RNN,
    "LSTM": LSTM,
    "GRU": GRU,
    "original GRU": functools.partial(GRU, reset_after=False),
    "peephole LSTM": PeepholeLSTM,
}
KINDS = [*CELLS, "Bidirectional", "Stack"]
each = pytest.mark.parametrize
each_cell, each_recurrent = each("kind", CELLS), each("kind", KINDS)
each_layer = each("kind", [*KINDS, "Dense"])
few = settings(max_examples=6)
seeds = st.integers(0, 2**32)
sizes = st.tuples(*(st.integers(1, most) for most in (3, 6, 4, 5)))


def make(kind, units=3, *, seed=0, **options):
    if kind in CELLS:
        return CELLS[kind](units, seed=seed, **options)
    if kind == "Dense":
        return Dense(units, seed=seed, **options)
    if kind == "attention":
        return Attention(units, seed=seed, **options)
    lower, upper = LSTM(units, **options), GRU(units + 1, **options)
    if kind == "Stack":
        return Stack([lower, upper], seed=seed)
    return Bidirectional(lower, seed=seed)


def problem(kind, size=(2, 5, 3, 4), seed=0, dtype="float64"):
    """A layer whose weights are all random, an input, states, and how to draw more."""
    batch, steps, features, units = size
    rng = np.random.default_rng(seed)
    layer = make(kind, units, dtype=dtype)
    layer.build(features)
    layer.set_weights([rng.normal(0, 0.6, w.shape) for w in layer.get_weights()])

    def like(arrays):
        return tuple(rng.normal(size=a.shape).astype(dtype) for a in arrays)

    (x,) = like([np.empty((batch, steps, features))])
    return layer, x, like(layer.forward(x)[1]), like


def flat(result):
    """All arrays of what a layer returns: tuples in tuples, and dicts."""
    if isinstance(result, np.ndarray):
        return [result]
    parts = result.values() if isinstance(result, dict) else result
    return [a for part in parts for a in flat(part)]


def as_bytes(result):
    return [a.tobytes() for a in flat(result)]


def assert_close(ours, theirs, tolerance):
    for a, b in zip(ours, theirs, strict=True):
        assert np.shape(a) == b.shape
        assert np.abs(np.asarray(a) - np.asarray(b)).max() <= tolerance


def slow_peephole(x, state, W, U, b, p):
    """Hidden states and final states, number by number."""
    h, c = np.copy(state)
    out = np.zeros((*x.shape[:2], len(U)))
    for n, t in np.ndindex(*x.shape[:2]):
        row = [*x[n, t], *h[n], 1]
        z = [sum(map(np.multiply, row, column)) for column in np.vstack([W, U, b]).T]
        for u in range(len(U)):
            z_i, z_f, z_g, z_o = z[u :: len(U)]
            i = 1 / (1 + np.exp(-z_i - p[0, u] * c[n, u]))
            f = 1 / (1 + np.exp(-z_f - p[1, u] * c[n, u]))
            c[n, u] = f * c[n, u] + i * np.tanh(z_g)
            o = 1 / (1 + np.exp(-z_o - p[2, u] * c[n, u]))
            h[n, u] = out[n, t, u] = o * np.tanh(c[n, u])
    return out, h, c


@few
@given(sizes, seeds)
def test_peephole_is_its_equations(size, seed):
    layer, x, state, _ = problem("peephole LSTM", size, seed)
    slow = slow_peephole(x, state, *layer.get_weights())
    assert_close(flat(layer.forward(x, state)), slow, 1e-12)
    plain = LSTM(size[3], size[2], dtype="float64")
    plain.set_weights(layer.get_weights()[:3])
    layer.weights["peephole"][...] = 0
    assert as_bytes(layer.forward(x, state)) == as_bytes(plain.forward(x, state))


def with_dropout(layer, seed):
    return Stack([layer, Dropout(0.4), GRU(2, recurrent_dropout=0.3)], seed=seed)


CHECKED = [
    *((make(k, 2), {"return_sequences": s}) for k, s in product(KINDS, (True, False))),
    *((make(k, 2, recurrent_dropout=0.4), {"training": True}) for k in KINDS),
    *((make(k, 2, seed=[1, 2]), {}) for k in KINDS),
    (with_dropout(RNN(2), [1, 2]), {"training": True}),
    (with_dropout(Bidirectional(RNN(2)), 3), {"training": True}),
    (Dense(2), {}),
    (SequenceClassifier(LSTM(2), 3, seed=[1, 2]), {"y": np.array([0, 2])}),
    (
        SequenceRegressor(with_dropout(LSTM(2), 0), 2),
        {"y": np.eye(2), "training": True},
    ),
]


@each(("layer", "options"), CHECKED)
@each("steps", [4, 1])
def test_gradients_are_central_differences(layer, options, steps):
    x = np.random.default_rng(steps).normal(size=(2, steps, 3))
    report = gradcheck(layer, x, **options)
    assert report.passed and report.worst < 1e-7, report
    if "y" not in options:
        layer.forward(x)  # builds the weights: a copy was checked
        names = ["x", *(f"initial {s}" for s in layer.state_names)]
        assert [row.name for row in report] == [*names, *layer.weights]


@each("kind", [*CELLS, "Stack"])
def test_truncation_is_a_run_of_pieces(kind):
    @few
    @given(sizes, seeds, st.integers(1, 4))
    def check(size, seed, k):
        layer, x, state, like = problem(kind, size, seed)
        T = size[1]
        out, after = layer.forward(x, state)
        (dout,), dafter = like([out]), like(after)
        whole = as_bytes(layer.backward(dout, dafter))
        for too_long in (T, T + 3):
            cut = layer.backward(dout, dafter, truncate=too_long)
            assert as_bytes(cut) == whole
        dx, dstate, gradients = layer.backward(dout, dafter, truncate=k)
        pieces = []
        for t in range(0, T, k):
            _, state = layer.forward(x[:, t : t + k], state)
            dlast = dafter if t + k >= T else None
            pieces.append(layer.backward(dout[:, t : t + k], dlast))
        expected = np.concatenate([piece[0] for piece in pieces], axis=1)
        assert_close([dx, *dstate], [expected, *pieces[0][1]], 1e-12)
        sums = [sum(piece[2][name] for piece in pieces) for name in gradients]
        assert_close(gradients.values(), sums, 1e-12)

    check()


@each_cell
def test_jacobians_are_central_differences(kind):
    layer, x, state, _ = problem(kind)
    J, T, eye = jacobians(layer, x, state), x.shape[1], np.eye(4)
    made = layer.activations()
    p_o = layer.weights.get("peephole", np.zeros((3, 4)))[2]

    def last(name, t, by):
        """The last state `name`, were the one after t steps moved by `by`."""
        before = zip(layer.state_names, state, strict=True)
        now = {k: made[k][:, t - 1] if t else begin for k, begin in before}
        now[name] = now[name] + by
        if name == "c" and t:  # h_t is made from c_t
            o = made["o"][:, t - 1]
            o = 1 / (1 + (1 / o - 1) * np.exp(-p_o * by))
            now["h"] = o * np.tanh(now["c"])
        _, after = layer.forward(x[:, t:], tuple(now.values()))
        return after[layer.state_names.index(name)]

    for name in layer.state_names:
        *exact, at_end = getattr(J, name)
        assert (at_end == eye).all() and len(exact) == T
        for t in range(T):
            columns = [last(name, t, s) - last(name, t, -s) for s in 1e-5 * eye]
            assert_close([exact[t]], [np.stack(columns, -1) / 2e-5], 1e-8)
    if kind == "RNN":
        slopes = [np.eye(4) * (1 - h[..., None] ** 2) for h in made["h"].swapaxes(0, 1)]
        factors = slopes @ layer.weights["recurrent_kernel"].T
        assert_close([J.h[0]], [functools.reduce(np.matmul, factors[::-1])], 1e-12)
    assert (J.c is None) == (J.c_direct is None) == ("LSTM" not in kind)


@each("kind", ["LSTM", "peephole LSTM"])
def test_direct_path_is_the_forget_gate(kind):
    layer, x, state, _ = problem(kind)
    for steps in range(1, 6):
        direct = jacobians(layer, x[:, :steps], state).c_direct
        f = layer.activations()["f"].swapaxes(0, 1)
        assert np.array_equal(direct[-2], f[-1]) and (direct[-1] == 1).all()
    assert_close([direct[:-1]], [np.cumprod(f[::-1], axis=0)[::-1]], 1e-15)


@each_cell
def test_activations_are_the_equations(kind):
    layer, x, state, _ = problem(kind)
    out, after = layer.forward(x, state)
    a = layer.activations()
    assert "".join(a) == {"RNN": "h", "LSTM": "ifgohc", "GRU": "zrgh"}[kind.split()[-1]]
    assert {v.shape for v in a.values()} == {out.shape} and (a["h"] == out).all()
    for name, begin, end in zip(layer.state_names, state, after, strict=True):
        assert (a[name][:, -1] == end).all()
        a[name + "-"] = np.concatenate([begin[:, None], a[name][:, :-1]], axis=1)
    if "c" in a:
        c, h = a["f"] * a["c-"] + a["i"] * a["g"], a["o"] * np.tanh(a["c"])
        assert_close([a["c"], a["h"]], [c, h], 1e-15)
    elif "z" in a:
        assert_close([out], [a["z"] * a["h-"] + (1 - a["z"]) * a["g"]], 1e-15)


def test_cell_state_leaves_the_interval():
    layer = LSTM(3, 2, forget_bias=4, kernel_initializer=lambda *_: np.ones((2, 12)))
    h, _ = layer.forward(np.ones((1, 20, 2)))
    assert np.abs(h).max() < 1 < 10 < layer.activations()["c"].max()


@each("own", [False, True])
@each_recurrent
def test_ensemble_is_its_networks_one_by_one(kind, own):
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 3)[not own :])

    def run(seed, x):
        layer = make(kind, 6, seed=seed, recurrent_dropout=0.2)
        out, after = layer.forward(x, training=True)
        dafter = tuple(np.cos(a) for a in after)
        return flat([out, after, layer.backward(np.sin(out), dafter)])

    both = run([3, 5], x)
    for k, seed in enumerate([3, 5]):
        alone = run(seed, x[k] if own else x)
        assert as_bytes([a[k] for a in both]) == as_bytes(alone)


@each(("kind", "on_28"), {"RNN": 5952, "LSTM": 23808, "GRU": 18048}.items())
def test_number_of_weights(kind, on_28):
    layer = make(kind, 64, features=28)
    assert layer.count_params() == on_28
    assert make(kind, 64, features=28, seed=[1, 2]).count_params() == on_28


@each_layer
def test_weights_begin_as_in_keras(kind):
    first, again, other = (make(kind, 6, seed=seed) for seed in (1, 1, 2))
    for layer in (first, again, other):
        layer.build(40)
    assert as_bytes(first.weights) == as_bytes(again.weights)
    for name, w in first.weights.items():
        drawn = name.endswith("kernel")
        assert drawn != np.array_equal(w, other.weights[name])
        if name.endswith("recurrent_kernel"):
            assert_close([w @ w.T], [np.eye(len(w))], 1e-6)
        elif drawn:
            limit = np.sqrt(6 / sum(w.shape))
            assert 0.9 * limit < np.abs(w).max() <= limit
        else:
            forget = (np.arange(24) // 6 == 1) if w.shape == (24,) else 0
            assert (w == forget).all()


@each("bias", ["zeros", lambda shape, rng: np.full(shape, 0.5)])
@each("forget", [1.0, -2.5])
def test_forget_bias_is_what_is_asked_for(bias, forget):
    layer = LSTM(2, 3, forget_bias=forget, bias_initializer=bias)
    other = 0 if bias == "zeros" else 0.5
    expected = np.repeat([other, forget, other, other], 2)
    assert np.array_equal(layer.weights["bias"], expected)


def test_other_initialisers():
    def recurrent_kernel(start, seed=0):
        how = {"kernel_initializer": "zeros", "dtype": "float64", "seed": seed}
        layer = GRU(4, 3, recurrent_initializer=start, **how)
        return layer.weights["recurrent_kernel"]

    assert np.array_equal(recurrent_kernel("identity"), np.tile(np.eye(4), 3))
    assert not recurrent_kernel("zeros").any()
    for block in np.split(recurrent_kernel("orthogonal_blocks"), 3, axis=1):
        assert_close([block @ block.T], [np.eye(4)], 1e-12)
    drawn = recurrent_kernel(lambda shape, rng: rng.normal(size=shape), seed=7)
    assert np.array_equal(drawn, np.random.default_rng(7).normal(size=(4, 12)))


def test_dropout_keeps_the_mean():
    x = np.ones((200, 10, 5), np.float32)
    layer = Dropout(0.3)
    out, _ = layer.forward(x, training=True)
    assert set(np.unique(out)) == {0, np.float32(1 / 0.7)}
    assert abs(out.mean() - 1) < 5 * np.sqrt(0.3 / 0.7 / x.size)  # standard errors
    assert (out[:, :1] != out).any()  # each step anew
    assert np.array_equal(layer.backward(x)[0], out)
    for same in (layer.forward(x), Dropout(0).forward(x, training=True)):
        assert np.array_equal(same[0], x)


@each_cell
def test_recurrent_dropout_holds_for_all_steps(kind):
    """A unit that never reaches the next step gives its weights no gradient."""
    rng, H = np.random.default_rng(0), 300
    x = rng.normal(size=(1, 8, 2))
    layer = make(kind, H, features=2, recurrent_dropout=0.3)

    def dropped(**how):
        _, state = layer.forward(x)
        out, _ = layer.forward(x, state, **how)
        gradient = layer.backward(np.ones_like(out))[2]["recurrent_kernel"]
        return (gradient == 0).all(axis=1)

    first, second = dropped(training=True), dropped(training=True)
    assert abs(first.mean() - 0.3) < 5 * np.sqrt(0.21 / H) and (first != second).any()
    assert not dropped().any()
    off = make(kind, H, features=2)
    assert as_bytes(off.forward(x)) == as_bytes(off.forward(x, training=True))
    assert as_bytes(off.forward(x)) == as_bytes(layer.forward(x))


def test_recurrent_dropout_keeps_the_mean():
    how = {"recurrent_initializer": "identity", "recurrent_dropout": 0.3}
    layer = RNN(40, 1, **how)
    out, _ = layer.forward(np.zeros((50, 1, 1)), training=True)
    mask = layer.backward(np.ones_like(out))[1][0]  # tanh'(0) = 1
    assert set(np.unique(mask)) == {0, np.float32(1 / 0.7)}
    assert abs(mask.mean() - 1) < 5 * np.sqrt(0.3 / 0.7 / mask.size)
