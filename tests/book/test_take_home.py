"""The code to take home from 2.1, 2.2, 3.1, 3.2 and 3.5, as it is printed there.

The cells run in a namespace of their own, without the page. What they define is
compared with the package, with Keras, with PyTorch (or, where that is not installed,
with its layout written out), and with central differences; and each of these
comparisons must catch mistakes that are planted in the cells.
"""

import ast
import importlib.util
import re
import types

import numpy as np
import pytest

from tests.conftest import need, read_page
from unrolled import GRU, LSTM, RNN

B, T, F, H, K = 2, 6, 3, 8, 2  # F, H and K are those of the cell with Keras
PLAIN, GATED = "book/2-concepts/1-rnn.ipynb", "book/2-concepts/2-lstm.ipynb"
BPTT, BACK, SHARE = (
    "book/3-mathematics/1-bptt.ipynb",
    "book/3-mathematics/2-lstm-backward.ipynb",
    "book/3-mathematics/5-gru-backward.ipynb",
)
CELLS = {PLAIN: RNN, GATED: LSTM, BPTT: RNN, BACK: LSTM, SHARE: GRU}
PAGES, BACKWARD = list(CELLS), [BPTT, BACK, SHARE]
BLOCKS = {RNN: 1, LSTM: 4, GRU: 3}
LINES = 60  # of the network, which needs NumPy alone
LAYOUT = 20  # of the way to PyTorch's layout and back
CLOSE = {"rtol": 0, "atol": 1e-6}


def printed(page):
    """Source of the cells by id, in order, and the Markdown among them."""
    cells = [cell for cell in read_page(page) if cell["id"].startswith("home-")]
    return {cell["id"]: cell["source"] for cell in cells}


def network(page, source="", instead=""):
    """Source of the cells that need NumPy alone; `source` in it replaced once."""
    names = ("home-init", "home-forward", "home-backward", "home-torch")
    cells = printed(page)
    text = "\n\n\n".join(cells[name] for name in names if name in cells)
    if source:
        assert text.count(source) == 1, f"{source!r}: {text.count(source)} times"
    return text.replace(source, instead) if source else text


def take_home(page, source="", instead=""):
    """What the cells define, run by themselves, with inputs that nobody may change."""
    home = types.SimpleNamespace(page=page, cell=CELLS[page], names={})
    exec(network(page, source, instead), home.names)
    rng = np.random.default_rng(7)
    width = BLOCKS[home.cell] * H
    bias = (2, width) if home.cell is GRU else width
    shapes = [(F, width), (H, width), bias, (H, K), K]
    home.params = [0.5 * rng.normal(size=shape) for shape in shapes]
    home.x = rng.normal(size=(B, T, F))
    home.start = list(rng.normal(size=(1 + (home.cell is LSTM), B, H)))
    home.dy = rng.normal(size=(B, T, K))
    for array in (*home.params, home.x, *home.start, home.dy):
        array.flags.writeable = False
    return home


def outputs(home, params, x, start):
    y, *_ = home.names["forward"](params, x, *start)
    return y


def check_package(home):
    """The same outputs as those of the package's layer."""
    layer = home.cell(H, F, dtype="float64")
    layer.set_weights(home.params[:3])
    h, last = layer.forward(home.x, tuple(home.start))
    y, *rest = home.names["forward"](home.params, home.x, *home.start)
    np.testing.assert_allclose(y, h @ home.params[3] + home.params[4], **CLOSE)
    if home.page in (PLAIN, GATED):  # the rest is the last state, to go on from
        for ours, theirs in zip(rest, last, strict=True):
            np.testing.assert_allclose(ours, theirs, **CLOSE)
        y_1, *state = home.names["forward"](home.params, home.x[:, :2], *home.start)
        y_2, *_ = home.names["forward"](home.params, home.x[:, 2:], *state)
        np.testing.assert_allclose(np.concatenate([y_1, y_2], axis=1), y, **CLOSE)


def check_start(home):
    """`init` draws what Keras draws."""
    names = home.names
    params = names["init"](np.random.default_rng(0), 30, 20, 10)
    again = names["init"](np.random.default_rng(0), 30, 20, 10)
    assert all(map(np.array_equal, params, again))
    W_x, W_h, b, W_hy, b_y = params
    width = 20 * BLOCKS[home.cell]
    assert W_x.shape == (30, width) and W_h.shape == (20, width)
    for W, fans in ((W_x, 30 + width), (W_hy, 20 + 10)):
        limit = np.sqrt(6 / fans)  # Glorot's
        assert 0.95 * limit < np.abs(W).max() <= limit
        assert abs(W.mean()) < 4 * limit / np.sqrt(3 * W.size)  # four of its deviations
    np.testing.assert_allclose(W_h @ W_h.T, np.eye(20), rtol=0, atol=1e-12)
    assert np.linalg.det(W_h[:, :20]) != 1  # orthogonal, not the identity
    bias = np.zeros((2, width) if home.cell is GRU else width)
    if home.cell is LSTM:
        bias[20:40] = 1  # the second block is the forget gate's
    assert np.array_equal(b, bias) and np.array_equal(b_y, np.zeros(10))


def check_differences(home):
    """The gradient of every number against central differences."""
    given = [*home.params, home.x, *home.start]
    _, cache = home.names["forward"](home.params, home.x, *home.start)
    found, *rest = home.names["backward"](home.params, cache, home.dy)
    assert len(found) == 5, "one gradient per array of the params"
    for n, gradient in enumerate([*found, *rest]):
        assert gradient.shape == given[n].shape
        for k in np.ndindex(gradient.shape):
            ends = []
            for step in (1e-5, -1e-5):
                moved = given[n].copy()
                moved[k] += step
                arrays = [*given[:n], moved, *given[n + 1 :]]
                y = outputs(home, arrays[:5], arrays[5], arrays[6:])
                ends.append((home.dy * y).sum())
            slope = (ends[0] - ends[1]) / 2e-5
            np.testing.assert_allclose(gradient[k], slope, **CLOSE)


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def as_pytorch(arrays, x, start):
    """Outputs by the formulas in the documentation of nn.RNN, LSTM, GRU and Linear."""
    w_ih, w_hh, b_ih, b_hh, w, b = arrays
    h, *c = start
    y = []
    for t in range(x.shape[1]):
        by_x, by_h = x[:, t] @ w_ih.T + b_ih, h @ w_hh.T + b_hh
        if c:
            i, f, g, o = np.split(by_x + by_h, 4, axis=1)
            c = [sigmoid(f) * c[0] + sigmoid(i) * np.tanh(g)]
            h = sigmoid(o) * np.tanh(c[0])
        elif len(w_hh) == 3 * H:
            (x_r, x_z, x_n), (h_r, h_z, h_n) = (
                np.split(a, 3, axis=1) for a in (by_x, by_h)
            )
            z = sigmoid(x_z + h_z)
            h = (1 - z) * np.tanh(x_n + sigmoid(x_r + h_r) * h_n) + z * h
        else:
            h = np.tanh(by_x + by_h)
        y.append(h @ w.T + b)
    return np.stack(y, axis=1)


def check_pytorch_layout(home):
    """To PyTorch's layout and back, and from weights whose two biases are not zero."""
    rng = np.random.default_rng(8)
    ours = outputs(home, home.params, home.x, home.start)
    arrays = home.names["to_torch"](home.params)
    rows = BLOCKS[home.cell] * H
    shapes = [(rows, F), (rows, H), (rows,), (rows,), (K, H), (K,)]
    assert [array.shape for array in arrays] == shapes
    np.testing.assert_allclose(as_pytorch(arrays, home.x, home.start), ours, **CLOSE)
    arrays = [0.5 * rng.normal(size=shape) for shape in shapes]
    params = home.names["from_torch"](arrays)
    theirs = as_pytorch(arrays, home.x, home.start)
    ours = outputs(home, params, home.x, home.start)
    np.testing.assert_allclose(ours, theirs, **CLOSE)


CHECKS = {
    "package": check_package,
    "start": check_start,
    "differences": check_differences,
    "layout": check_pytorch_layout,
}


@pytest.mark.parametrize("page", PAGES)
def test_the_code_is_short_and_needs_numpy_alone(page):
    text = network(page)
    tree = ast.parse(text)
    imports = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(node) for node in imports] == ["import numpy as np"]
    *cells, layout = (
        len(printed(page).get(f"home-{name}", "").splitlines())
        for name in ("init", "forward", "backward", "torch")
    )
    assert sum(cells) <= LINES and layout <= LAYOUT
    assert all(isinstance(n, ast.Import | ast.FunctionDef) for n in tree.body)
    assert all(isinstance(ast.get_docstring(n), str) for n in tree.body[1:])


@pytest.mark.parametrize("page", PAGES)
def test_the_functions_read_nothing_from_outside(page):
    names = {}
    exec(network(page), names)
    functions = {n: f for n, f in names.items() if isinstance(f, types.FunctionType)}

    def read(code):
        yield from code.co_names
        for part in code.co_consts:
            if isinstance(part, types.CodeType):
                yield from read(part)

    for function in functions.values():
        outside = set(read(function.__code__)) & set(names)
        assert outside <= {"np", *functions}


@pytest.mark.parametrize(
    ("page", "check"),
    [(page, check) for page in PAGES for check in CHECKS
     if check != "differences" or page in BACKWARD],
)  # fmt: skip
def test_the_code_as_printed(page, check):
    CHECKS[check](take_home(page))


PLANTED = [
    (PLAIN, "package", "h @ W_hh + b_h", "h0 @ W_hh + b_h"),
    (PLAIN, "package", "h @ W_hh + b_h", "h @ W_hh.T + b_h"),
    (PLAIN, "package", "axis=1), h", "axis=1), h0"),
    (PLAIN, "start", "q * np.sign(np.diag(r))", "r"),
    (PLAIN, "start", "6 / (F + H)", "6 / F"),
    (PLAIN, "layout", "np.zeros_like(b_h)", "b_h"),
    (PLAIN, "layout", "W_hh.T, b_h,", "W_hh, b_h,"),
    (PLAIN, "layout", "b_ih + b_hh", "b_ih"),
    (GATED, "package", "a_i, a_f, a_g, a_o =", "a_i, a_f, a_o, a_g ="),
    (GATED, "package", "c = f * c + i * g", "c = f * c0 + i * g"),
    (GATED, "package", "o * np.tanh(c)", "o * c"),
    (GATED, "start", "[0.0, 1.0, 0.0, 0.0]", "[0.0, 0.0, 1.0, 0.0]"),
    (GATED, "start", "(q * np.sign(np.diag(r))).T", "q.reshape(H, 4 * H)"),
    (GATED, "layout", "W_h.T, b,", "W_h.reshape(W_h.T.shape), b,"),
    (GATED, "layout", "b_ih + b_hh", "b_hh"),
    (BPTT, "package", "h[t] @ W_hh", "h[0] @ W_hh"),
    (BPTT, "differences", " + later  #", "  #"),
    (BPTT, "differences", "h[t + 1] ** 2", "h[t] ** 2"),
    (BPTT, "differences", "later = da[t] @ W_hh.T", "later = da[t] @ W_hh"),
    (BPTT, "differences", "later = da[t] @ W_hh.T", "later = dh @ W_hh.T"),
    (BPTT, "differences", "sum(h[t].T @ da[t]", "sum(h[t + 1].T @ da[t]"),
    (BPTT, "differences", "sum(h[t + 1].T @ dy", "sum(h[t].T @ dy"),
    (BPTT, "differences", "da[t].sum(axis=0)", "da[t].mean(axis=0)"),
    (BPTT, "layout", "b_ih + b_hh", "b_ih"),
    (BACK, "package", "c.append(f * c[t]", "c.append(f * c[0]"),
    (BACK, "differences", " + dh_later  #", "  #"),
    (BACK, "differences", " + dc_later  #", "  #"),
    (BACK, "differences", "dh * o * (1 - tanh_c**2)", "dh * o * (1 + tanh_c**2)"),
    (BACK, "differences", "dc * c[t] * f * (1 - f)", "dc * c[t + 1] * f * (1 - f)"),
    (BACK, "differences", "dc * i * (1 - g**2)", "dc * i * g * (1 - g)"),
    (BACK, "differences", "[da_i, da_f, da_g, da_o]", "[da_i, da_f, da_o, da_g]"),
    (BACK, "differences", "da[t] @ W_h.T, dc * f", "da[t] @ W_h.T, dc"),
    (BACK, "differences", "sum(h[t].T @ da[t]", "sum(h[t + 1].T @ da[t]"),
    (BACK, "layout", "np.zeros_like(b)", "b"),
    (SHARE, "package", "in_g + r * s", "in_g + s"),
    (SHARE, "package", "z * h[t] + (1 - z) * g", "(1 - z) * h[t] + z * g"),
    (SHARE, "package", "in_z, in_r, in_g =", "in_r, in_z, in_g ="),
    (SHARE, "start", "np.zeros((2, 3 * H))", "np.zeros(3 * H)"),
    (SHARE, "start", "6 / (F + 3 * H)", "6 / (F + H)"),
    (SHARE, "differences", " + later  #", "  #"),
    (SHARE, "differences", "(h[t] - g) * z", "h[t] * z"),
    (SHARE, "differences", "da_g * s * r", "da_g * h[t] * r"),
    (SHARE, "differences", "[da_z, da_r, da_g * r]", "[da_z, da_r, da_g]"),
    (SHARE, "differences", "[da_z, da_r, da_g])", "[da_z, da_r, da_g * r])"),
    (SHARE, "differences", "later = dh * z + ", "later = "),
    (SHARE, "differences", "into_h[t] @ W_h.T", "into_x[t] @ W_h.T"),
    (SHARE, "differences", "sum(h[t].T @ into_h", "sum(h[t + 1].T @ into_h"),
    (SHARE, "layout", "[second, first, third]", "[first, second, third]"),
    (SHARE, "layout", "np.stack([b_ih, b_hh])", "np.stack([b_hh, b_ih])"),
]


@pytest.mark.parametrize(("page", "check", "source", "instead"), PLANTED)
def test_a_planted_mistake_is_caught(page, check, source, instead):
    home = take_home(page, source, instead)
    with pytest.raises(AssertionError):
        CHECKS[check](home)


@pytest.mark.parametrize("page", BACKWARD)
def test_the_training_loop_learns(page):
    """It runs with nothing but the cells, and ends far below an answer of 0."""
    names = {}
    exec(network(page) + "\n" + printed(page)["home-train"], names)
    assert np.mean(names["losses"][-10:]) < 0.3 * 10 / 12


@pytest.mark.usefixtures("keras")
@pytest.mark.parametrize("page", PAGES)
def test_weights_go_to_keras_and_back(page):
    names = {}
    exec(network(page) + "\n" + printed(page)["home-keras"], names)  # asserts
    drawn = names["init"](np.random.default_rng(0), F, H, K)
    home = take_home(page)
    for params in (drawn, home.params):
        names["model"].set_weights(params)
        y = outputs(home, params, home.x, [0 * s for s in home.start])
        np.testing.assert_allclose(y, names["model"](home.x), rtol=0, atol=1e-5)


@pytest.mark.usefixtures("keras")
@pytest.mark.parametrize("page", BACKWARD)
def test_gradients_are_those_of_keras(page):
    import keras

    tf = need("tensorflow")
    home = take_home(page)
    kinds = {RNN: "SimpleRNN", LSTM: "LSTM", GRU: "GRU"}
    kind = getattr(keras.layers, kinds[home.cell])
    layer = kind(H, return_sequences=True, dtype="float64")
    head = keras.layers.Dense(K, dtype="float64")
    layer.build((B, T, F))
    head.build((B, T, H))
    layer.set_weights(home.params[:3])
    head.set_weights(home.params[3:])
    given = [tf.constant(array) for array in (home.x, *home.start)]
    with tf.GradientTape() as tape:
        tape.watch(given)
        y = head(layer(given[0], initial_state=given[1:]))
        loss = tf.reduce_sum(y * home.dy)
    weights = [w.value for w in (*layer.trainable_weights, *head.trainable_weights)]
    theirs = tape.gradient(loss, [*weights, *given])
    ours, cache = home.names["forward"](home.params, home.x, *home.start)
    found, *rest = home.names["backward"](home.params, cache, home.dy)
    np.testing.assert_allclose(ours, y, **CLOSE)
    for gradient, their in zip([*found, *rest], theirs, strict=True):
        np.testing.assert_allclose(gradient, their.numpy(), **CLOSE)


@pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is not installed"
)
@pytest.mark.parametrize("page", PAGES)
def test_weights_go_to_pytorch_and_back(page):
    """The lines with PyTorch, where it is installed; it is not among our needs."""
    import torch

    [lines] = re.findall(r"```python\n(.*?)```", printed(page)["home-torch-use"], re.S)
    home = take_home(page)
    names = home.names | {"params": [w.astype("float32") for w in home.params]}
    exec(lines, names)
    with torch.no_grad():
        start = [torch.tensor(s[None], dtype=torch.float32) for s in home.start]
        state = tuple(start) if home.cell is LSTM else start[0]
        h, _ = names["layer"](torch.tensor(home.x, dtype=torch.float32), state)
        y = names["output"](h).numpy()
    ours = outputs(home, home.params, home.x, home.start)
    np.testing.assert_allclose(ours, y, rtol=0, atol=1e-5)
    for back, params in zip(names["params"], home.params, strict=True):
        np.testing.assert_allclose(back, params, **CLOSE)
