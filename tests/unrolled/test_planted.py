"""The checks can fail: mistakes planted in the package's source, each caught by name.

A planted mistake replaces one piece of source; the package is imported anew with it,
and the check that ought to notice must fail. The same checks pass without it. Of the
mistakes that a layer shows to a check, the first is planted by `make check`, and all
are by `make test`.
"""

import importlib
import sys
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader

import numpy as np
import pytest


def random(shape, rng):
    return rng.normal(size=shape) * 0.7


HOW = {"recurrent_initializer": random, "bias_initializer": random, "dtype": "float64"}
MAKE = {
    "RNN": lambda r: r.RNN(3, **HOW),
    "LSTM": lambda r: r.LSTM(3, **HOW),
    "LSTM, recurrent dropout": lambda r: r.LSTM(3, recurrent_dropout=0.4, **HOW),
    "GRU": lambda r: r.GRU(3, **HOW),
    "GRU, original": lambda r: r.GRU(3, reset_after=False, **HOW),
    "peephole": lambda r: r.PeepholeLSTM(3, peephole_initializer=random, **HOW),
    "bidirectional": lambda r: r.Bidirectional(r.GRU(2, **HOW)),
    "stack": lambda r: r.Stack([
        r.LSTM(3, **HOW),
        r.Dropout(0.4, dtype="float64"),
        r.RNN(3, **HOW),
    ]),
    "dense": lambda r: r.Dense(2, dtype="float64"),
    "attention": lambda r: r.Attention(6, heads=2, dtype="float64"),
    "translator": lambda r: r.EncoderDecoder(
        r.LSTM(3, **HOW), r.LSTM(3, **HOW), 3, attention=True
    ),
    "attention, twice": lambda r: r.Stack([
        r.PositionalEncoding(dtype="float64"),
        r.Attention(4, dtype="float64"),
        r.Attention(4, heads=2, dtype="float64"),
    ]),
}


def inputs(steps=3):
    return np.random.default_rng(1).normal(size=(2, steps, 2))


def differences(unrolled, make):
    """Every gradient equals its central difference."""
    return unrolled.gradcheck(make(unrolled), inputs(), training=True).passed


def kept(unrolled, make):
    """What goes in comes out as it was."""
    layer, x, rng = make(unrolled), inputs(), np.random.default_rng(2)
    given = [rng.normal(size=(2, 3)) for _ in layer.state_names]
    h, _ = layer.forward(x, tuple(given))
    dout, dstate = rng.normal(size=h.shape), [rng.normal(size=s.shape) for s in given]
    arrays = [x, *given, dout, *dstate]
    before = [a.copy() for a in arrays]
    layer.backward(dout, tuple(dstate))
    layer.forward(x, tuple(given))
    return all((a == b).all() for a, b in zip(arrays, before, strict=True))


def pieces(unrolled, make):
    """Cut at every 2 steps: separate runs over the pieces, the state handed on."""
    layer, x, state, of_pieces = make(unrolled), inputs(6), None, []
    h, _ = layer.forward(x)
    dout = np.random.default_rng(2).normal(size=h.shape)
    _, _, whole = layer.backward(dout, truncate=2)
    for k in range(0, 6, 2):
        _, state = layer.forward(x[:, k : k + 2], state)
        of_pieces.append(layer.backward(dout[:, k : k + 2])[2])
    sums = {name: sum(g[name] for g in of_pieces) for name in whole}
    return all(np.allclose(whole[name], sums[name], atol=1e-12) for name in whole)


def direct(unrolled, make):
    """∂c_t/∂c_{t−1} on the direct path is exactly f_t."""
    layer, x = make(unrolled), inputs()
    paths = unrolled.jacobians(layer, x).c_direct
    f = np.moveaxis(layer.activations()["f"], 1, 0)
    return all((paths[t] == paths[t + 1] * f[t]).all() for t in range(len(f)))


def causal(unrolled, make):
    """What comes later changes nothing that was before."""
    layer, x = make(unrolled), inputs(5)
    before, _ = layer.forward(x)
    x[:, 3:] += 1
    after, _ = layer.forward(x)
    return (before[:, :3] == after[:, :3]).all()


def model(unrolled, make):
    """The loss of a model, by central differences."""
    classifier = unrolled.SequenceClassifier(make(unrolled), 3, return_sequences=True)
    labels = np.random.default_rng(2).integers(3, size=(2, 3))
    regressor = unrolled.SequenceRegressor(make(unrolled), 2)
    return (
        unrolled.gradcheck(classifier, inputs(), y=labels).passed
        and unrolled.gradcheck(regressor, inputs(), y=labels[:, :2]).passed
    )


def translation(unrolled, make):
    """The loss of an encoder and decoder, by central differences."""
    labels = np.random.default_rng(2).integers(3, size=(2, 4))
    return unrolled.gradcheck(make(unrolled), inputs(), y=labels).passed


def quantiles(unrolled, make):
    """The loss of a model, by central differences, and numbers by hand."""
    loss, _ = unrolled.losses.quantile_loss([[[1.0, 3.0]]], [[2.0]], [0.1, 0.8])
    if not np.isclose(loss, (0.1 + 0.2) / 2):
        return False
    y = np.random.default_rng(2).normal(size=(2, 4))
    model = unrolled.SequenceQuantileRegressor(make(unrolled), 4, [0.1, 0.6])
    right = unrolled.gradcheck(model, inputs(), y=y).passed
    model.build(2)
    model.head.weights["bias"][:] = [0, 1, 10, 11, 20, 21, 30, 31]
    model.head.weights["kernel"][:] = 0
    return right and (model.predict(inputs())[0, 1] == [10, 11]).all()


# What is wrong, which layer shows it, which check must notice, file, source, instead
PLANTED = [
    ("a sign", "LSTM", differences, "lstm",
     "dh * h, 1 - o", "-dh * h, 1 - o"),
    ("the gate's derivative forgotten", "LSTM", differences, "lstm",
     "dc_i * g, 1 - i,", "dc_i * g, 1,"),
    ("the candidate's derivative as a gate's", "LSTM", differences, "lstm",
     "dc_i, 1 - g**2", "dc_i, g * (1 - g)"),
    ("the cell state's carry forgotten", "LSTM", differences, "lstm",
     "dc = dc + dh * (o", "dc = dh * (o"),
    ("the forget gate left out of the carry", "LSTM", differences, "lstm",
     "self._drop(dh), dc_f", "self._drop(dh), dc"),
    ("tanh of the cell state not differentiated", "LSTM", differences, "lstm",
     "(o - h * np.tanh(c))", "o"),
    ("input gate and candidate exchanged", "LSTM", differences, "lstm",
     "dc_i * g, 1 - i", "dc_i * i, 1 - i"),
    ("the cell state one step late", "LSTM", differences, "lstm",
     "dc_f * c_before", "dc_f * c"),
    ("U not transposed", "LSTM", differences, "lstm",
     "da @ self._W_h_T", "da @ self._W_h"),
    ("one gate missing on the way back", "LSTM", differences, "lstm",
     ".sum(0)", "[:3].sum(0)"),
    ("dropout on the way there only", "LSTM, recurrent dropout", differences, "lstm",
     "return self._drop(dh), dc_f", "return dh, dc_f"),
    ("the caller's gradient added to in place", "LSTM", kept, "lstm",
     "dc = dc + dh * (o", "dc += dh * (o"),
    ("tanh's derivative of the wrong thing", "RNN", differences, "rnn",
     "1 - h**2", "1 - h"),
    ("the state before for the one after", "RNN", differences, "rnn",
     "(h,) = after", "(h,) = before"),
    ("U not transposed in the simple network", "RNN", differences, "rnn",
     "da[0] @ self._W_h_T[0]", "da[0] @ self._W_h[0]"),
    ("the recurrent kernel with h_t for h_{t-1}", "RNN", differences, "recurrence",
     "states[0][:-1]", "states[0][1:]"),
    ("the loss's gradient one step off", "RNN", differences, "recurrence",
     "dh = dh + dout[t]", "dh = dh + dout[t - 1]"),
    ("the state's gradient forgotten where h is seen", "GRU", differences, "recurrence",
     "dh = dh + dout[t]", "dh = dout[t]"),
    ("the caller's gradient changed in place", "RNN", kept, "recurrence",
     "dh = dh + dout[t]", "dh += dout[t]"),
    ("the bias for the last row of the kernel", "RNN", differences, "recurrence",
     '"bias": of_inputs[..., -1, :]', '"bias": of_inputs[..., -2, :]'),
    ("the cut of truncation one step late", "LSTM", pieces, "recurrence",
     "t % truncate == 0", "(t + 1) % truncate == 0"),
    ("no cut at all", "RNN", pieces, "recurrence",
     "if truncate and t and", "if truncate and not t and"),
    ("the input itself worked on", "RNN", kept, "layout",
     "    new[..., :n] = np.moveaxis(x, -2, 0)\n",
     "    x += 1\n    new[..., :n] = np.moveaxis(x, -2, 0)\n"),
    ("the initial state worked on", "GRU", kept, "recurrence",
     "            s[0] = s_0\n", "            s[0] = s_0\n            s_0 += 1\n"),
    ("the update gate the wrong way round", "GRU", differences, "gru",
     "dh * (h - g) * update", "dh * (g - h) * update"),
    ("the state kept by the update gate forgotten", "GRU", differences, "gru",
     "return (dh * update + self._drop(dh_before),)",
     "return (self._drop(dh_before),)"),
    ("the reset gate forgotten on the way back", "GRU", differences, "gru",
     "(dg * r) @ W_T[2]", "dg @ W_T[2]"),
    ("the reset gate forgotten in the weights", "GRU", differences, "gru",
     "candidate * r[:, None]", "candidate"),
    ("the reset gate forgotten in the second bias", "GRU", differences, "gru",
     "da[:, 2] * a[:, 1]", "da[:, 2]"),
    ("the second bias of the gates forgotten", "GRU", differences, "gru",
     "bias + added", "bias"),
    ("the reset state's weight with the plain state", "GRU, original", differences,
     "gru", "accumulate(r * h_before, candidate)", "accumulate(h_before, candidate)"),
    ("the peephole's share of the cell state", "peephole", differences, "peephole",
     " + da[3] * p_o", ""),
    ("the output peephole one step early", "peephole", differences, "peephole",
     "c * da[:, 3]", "c_before * da[:, 3]"),
    ("the second direction not turned back", "bidirectional", differences, "compose",
     "dx = dx + dx_b[..., ::-1, :]", "dx = dx + dx_b"),
    ("the stack's states in reversed order", "stack", differences, "compose",
     "before = (*dinitial, *before)", "before = (*before, *dinitial)"),
    ("another mask on the way back", "stack", differences, "dense",
     "dout * self._mask", "dout * self._mask[::-1]"),
    ("the bias counted once a batch", "dense", differences, "dense",
     "dy.sum(-2)", "dy.mean(-2)"),
    ("the softmax's own mean not subtracted", "attention", differences, "attention",
     "(dalpha - of_mean)", "dalpha"),
    ("the scores' scale on the way there only", "attention", differences, "attention",
     "(dalpha - of_mean) / self._scale", "(dalpha - of_mean)"),
    ("keys for queries on the way back", "attention", differences, "attention",
     "dk = dscore.swapaxes(-1, -2) @ q", "dk = dscore.swapaxes(-1, -2) @ k"),
    ("the weights of the mean not transposed", "attention", differences, "attention",
     "dv = alpha.swapaxes(-1, -2) @ dh", "dv = alpha @ dh"),
    ("the gradients of the heads mixed up", "attention, twice", differences,
     "attention", "da = np.concatenate([self._join(d)",
     "da = np.concatenate([d.reshape(*d.shape[:-3], -1, self.units)"),
    ("a step that sees the next one", "attention", causal, "attention",
     "later = np.arange(T) >", "later = np.arange(T) - 1 >"),
    ("the label not subtracted", "RNN", model, "losses",
     "at_label - 1", "at_label"),
    ("the mean of the loss, the sum of its gradient", "RNN", model, "losses",
     "return loss, dlogits / dlogits.dtype.type(n)", "return loss, dlogits"),
    ("half of the squared error's gradient", "RNN", model, "losses",
     "type(2 / n)", "type(1 / n)"),
    ("the decoder's first state not the encoder's last on the way back", "translator",
     translation, "seq2seq", "backward(\n            dread, dhanded,",
     "backward(\n            dread, None,"),
    ("the context's way to the scores forgotten", "translator", translation, "seq2seq",
     "dout = dout + dscore @ read", "dout = dout"),
    ("the encoder's share of the scores forgotten", "translator", translation,
     "seq2seq", " + dscore.swapaxes(-1, -2) @ h", ""),
    ("the softmax's own mean not subtracted in a translator", "translator", translation,
     "seq2seq", "alpha * (dalpha - of_mean)", "alpha * dalpha"),
    ("the quantile's share on the wrong side", "RNN", quantiles, "losses",
     "np.where(error > 0, -q, 1 - q)", "np.where(error > 0, q - 1, q)"),
    ("quantiles and numbers mixed up", "RNN", quantiles, "model",
     "outputs.reshape(*outputs.shape[:-1], -1, len(self.quantiles))",
     "outputs.reshape(*outputs.shape[:-1], len(self.quantiles), -1).swapaxes(-1, -2)"),
    ("the direct path one step short", "LSTM", direct, "jacobians",
     "direct[:-1] = np.cumprod(f, axis=0)[::-1]",
     "direct[:-2] = np.cumprod(f, axis=0)[::-1][1:]"),
]  # fmt: skip


@contextmanager
def package(name=None, source="", instead=""):
    """The package imported anew, with a mistake in the module `name`, if any."""
    read = SourceFileLoader.get_code

    def get_code(loader, module):
        if module != f"unrolled.{name}":
            return read(loader, module)
        text = loader.get_source(module)
        assert text.count(source) == 1, f"{name}.py holds {source!r} not exactly once"
        return compile(text.replace(source, instead), loader.path, "exec")

    with pytest.MonkeyPatch.context() as patch:
        for module in [m for m in sys.modules if m.partition(".")[0] == "unrolled"]:
            patch.delitem(sys.modules, module)
        patch.setattr(SourceFileLoader, "get_code", get_code)
        anew = importlib.import_module("unrolled")
        assert name is None or f"unrolled.{name}" in sys.modules
        try:
            yield anew
        finally:
            for module in [m for m in sys.modules if m.partition(".")[0] == "unrolled"]:
                del sys.modules[module]


def with_marks():
    """Parameter sets; quick is the first mistake for each layer and check."""
    seen, sets = set(), []
    for what, layer, check, *mistake in PLANTED:
        marks = [pytest.mark.slow] if (layer, check) in seen else []
        seen.add((layer, check))
        sets.append(pytest.param((layer, check, *mistake), marks=marks, id=what))
    return sets


@pytest.mark.parametrize("planted", with_marks())
def test_planted_mistake_is_caught(planted):
    layer, check, *mistake = planted
    with package(*mistake) as unrolled:
        assert not check(unrolled, MAKE[layer])


def test_the_checks_pass_without_a_mistake():
    with package() as unrolled:
        for layer, check in {(layer, check) for _, layer, check, *_ in PLANTED}:
            assert check(unrolled, MAKE[layer]), (layer, check.__name__)
