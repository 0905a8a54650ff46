"""A mistake in a derivation stops its page: planted in one cell, it fails an assertion.

The cells of the page run in order, one of them changed; that cell, or one of the next
two, must raise AssertionError. Unchanged, the same cells run through. `make check`
plants all mistakes in the first page, and a few in the second, whose cells are slow.
"""

import linecache

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from tests.conftest import read_page

BPTT = "book/3-mathematics/1-bptt.ipynb"
LSTM = "book/3-mathematics/2-lstm-backward.ipynb"
CUT = "book/3-mathematics/4-truncation.ipynb"
GATES = "book/3-mathematics/5-gru-backward.ipynb"

# page, what is wrong, source, instead
PLANTED = [
    (BPTT, "forward: W_hh transposed",
     "h[t - 1] @ W_hh + b_h\n        h[t] =",
     "h[t - 1] @ W_hh.T + b_h\n        h[t] ="),
    (BPTT, "(3.1.6) sign",
     "m[:, None, None] * (y_hat - y)",
     "m[:, None, None] * (y - y_hat)"),
    (BPTT, "(3.1.7) off by one",
     "dh_T = dy_hat[T] @ W_hy.T",
     "dh_T = dy_hat[T - 1] @ W_hy.T"),
    (BPTT, "(3.1.8) square forgotten",
     "da_T = dh_T * (1 - h[T] ** 2)",
     "da_T = dh_T * (1 - h[T])"),
    (BPTT, "(3.1.5) no transpose of W",
     "error(du @ W.T, differences(L, v))",
     "error(du @ W, differences(L, v))"),
    (BPTT, "(3.1.5) factors exchanged: the gradient transposed",
     "error(v.T @ du, differences(L, W))",
     "error(du.T @ v, differences(L, W))"),
    (BPTT, "weight of the step's loss forgotten",
     "        dy_hat[t] = m[t] * (y_hat[t] - y[t])\n",
     "        dy_hat[t] = y_hat[t] - y[t]\n"),
    (BPTT, "(3.1.9) sign of the carry",
     "        dh[t] = dy_hat[t] @ W_hy.T + da[t + 1] @ W_hh.T",
     "        dh[t] = dy_hat[t] @ W_hy.T - da[t + 1] @ W_hh.T"),
    (BPTT, "(3.1.9) no transpose of W_hh",
     "        dh[t] = dy_hat[t] @ W_hy.T + da[t + 1] @ W_hh.T",
     "        dh[t] = dy_hat[t] @ W_hy.T + da[t + 1] @ W_hh"),
    (BPTT, "(3.1.9) carry forgotten",
     "        dh[t] = dy_hat[t] @ W_hy.T + da[t + 1] @ W_hh.T",
     "        dh[t] = dy_hat[t] @ W_hy.T"),
    (BPTT, "(3.1.9) carries dh, not da: the slope of tanh skipped",
     "        dh[t] = dy_hat[t] @ W_hy.T + da[t + 1] @ W_hh.T",
     "        dh[t] = dy_hat[t] @ W_hy.T + dh[t + 1] @ W_hh.T"),
    (BPTT, "(3.1.9) own output forgotten",
     "        dh[t] = dy_hat[t] @ W_hy.T + da[t + 1] @ W_hh.T",
     "        dh[t] = da[t + 1] @ W_hh.T"),
    (BPTT, "(3.1.8) sign of the slope",
     "        dh[t] = dy_hat[t] @ W_hy.T + da[t + 1] @ W_hh.T\n"
     "        da[t] = dh[t] * (1 - h[t] ** 2)",
     "        dh[t] = dy_hat[t] @ W_hy.T + da[t + 1] @ W_hh.T\n"
     "        da[t] = dh[t] * (1 + h[t] ** 2)"),
    (BPTT, "(3.1.8) slope of the wrong step",
     "        dh[t] = dy_hat[t] @ W_hy.T + da[t + 1] @ W_hh.T\n"
     "        da[t] = dh[t] * (1 - h[t] ** 2)",
     "        dh[t] = dy_hat[t] @ W_hy.T + da[t + 1] @ W_hh.T\n"
     "        da[t] = dh[t] * (1 - h[t - 1] ** 2)"),
    (BPTT, "loop stops one step early",
     "for t in range(T, 0, -1):\n        dy_hat",
     "for t in range(T, 1, -1):\n        dy_hat"),
    (BPTT, "(3.1.10) h_t for h_{t-1}",
     "share = h[t - 1].T @ da[t]",
     "share = h[t].T @ da[t]"),
    (BPTT, "(3.1.11) off by one",
     '"W_hh": sum(h[t - 1].T @ da[t] for t in steps)',
     '"W_hh": sum(h[t].T @ da[t] for t in steps)'),
    (BPTT, "(3.1.11) transposed",
     '"W_hh": sum(h[t - 1].T @ da[t] for t in steps)',
     '"W_hh": sum((h[t - 1].T @ da[t]).T for t in steps)'),
    (BPTT, "(3.1.11) last step only",
     '"W_hh": sum(h[t - 1].T @ da[t] for t in steps)',
     '"W_hh": h[T - 1].T @ da[T]'),
    (BPTT, "(3.1.11) mean over the batch for the sum",
     '"b_h": sum(da[t].sum(axis=0) for t in steps)',
     '"b_h": sum(da[t].mean(axis=0) for t in steps)'),
    (BPTT, "(3.1.11) dh for da",
     '"W_xh": sum(x[t].T @ da[t] for t in steps)',
     '"W_xh": sum(x[t].T @ dh[t] for t in steps)'),
    (BPTT, "(3.1.12) no transpose",
     '"h_0": da[1] @ W_hh.T',
     '"h_0": da[1] @ W_hh'),
    (BPTT, "one weight: a share of the wrong state",
     "shares.append(states[t - 1] * dh)",
     "shares.append(states[t] * dh)"),
    (BPTT, "(3.1.16) off the diagonal forgotten",
     "J = np.diag(p[0]) - np.outer(p[0], p[0])",
     "J = np.diag(p[0] * (1 - p[0]))"),
    (BPTT, "(3.1.16) sign",
     "J = np.diag(p[0]) - np.outer(p[0], p[0])",
     "J = np.diag(p[0]) + np.outer(p[0], p[0])"),
    (BPTT, "(3.1.17) sign",
     "d_scores = p - target",
     "d_scores = target - p"),
    (BPTT, "(3.1.17) the gradient for p, not for the scores",
     "d_scores = p - target",
     "d_scores = -target / p"),
    (BPTT, "(3.1.13) order of factors",
     "J = np.diag(1 - h[r, row] ** 2) @ W_hh.T @ J",
     "J = J @ np.diag(1 - h[r, row] ** 2) @ W_hh.T"),
    (BPTT, "(3.1.13) one factor too many",
     "for r in range(t + 1, s + 1):",
     "for r in range(t, s + 1):"),
    (LSTM, "forward: g and o read in the other order",
     "W_hi, W_hf, W_hg, W_ho = np",
     "W_hi, W_hf, W_ho, W_hg = np"),
    (LSTM, "difference quotient without the 2",
     "(2 * step)",
     "step"),
    (LSTM, "dh_t: wrong transpose",
     "da_f @ W_hf.T + ",
     "da_f @ W_hf + "),
    (LSTM, "dh_t: path through o missing",
     " + da_o @ W_ho.T",
     ""),
    (LSTM, "dh_t: the loss's own path missing",
     "dh = h[t] - y[t] + da_i @",
     "dh = da_i @"),
    (LSTM, "do_t: tanh missing",
     "do = dh * np.tanh(c[t])",
     "do = dh * c[t]"),
    (LSTM, "dc_t: carry from c_{t+1} forgotten",
     "dc = by_way_of_h + by_way_of_c",
     "dc = by_way_of_h"),
    (LSTM, "dc_t: sign in tanh'",
     "by_way_of_h = dh * o[t] * (1 - ",
     "by_way_of_h = dh * o[t] * (1 + "),
    (LSTM, "dc_t: f_t for f_{t+1}",
     'measured["c"][t + 1] * f[t + 1]',
     'measured["c"][t + 1] * f[t]'),
    (LSTM, "df_t: c_t for c_{t-1}",
     "df = dc * c[t - 1]",
     "df = dc * c[t]"),
    (LSTM, "di_t and dg_t exchanged",
     "di = dc * g[t]\ndg = dc * i[t]",
     "di = dc * i[t]\ndg = dc * g[t]"),
    (LSTM, "slope of σ: sign",
     "slope_of_sigmoid = sigmoid(a) * (1 - sigmoid(a))",
     "slope_of_sigmoid = sigmoid(a) * (1 + sigmoid(a))"),
    (LSTM, "slope of σ for the candidate",
     "da_g = dg * (1 - g[t] ** 2)\nda_o",
     "da_g = dg * g[t] * (1 - g[t])\nda_o"),
    (LSTM, "slope of o: exchanged for f's",
     "da_o = do * o[t] * (1 - o[t])\n",
     "da_o = do * f[t] * (1 - f[t])\n"),
    (LSTM, "da_t: blocks g and o exchanged",
     "da = np.hstack([da_i, da_f, da_g, da_o])  #",
     "da = np.hstack([da_i, da_f, da_o, da_g])  #"),
    (LSTM, "to step t-1: reshaped, not transposed",
     "dh_later, dc_later = da @ W_h.T",
     "dh_later, dc_later = da @ W_h.reshape(4 * H, H)"),
    (LSTM, "loop: carry of c forgotten",
     "(1 - np.tanh(c[t]) ** 2) + dc_later",
     "(1 - np.tanh(c[t]) ** 2)"),
    (LSTM, "loop: carry of h forgotten",
     "dh[t] = h[t] - y[t] + dh_later",
     "dh[t] = h[t] - y[t]"),
    (LSTM, "loop: stops a step early",
     "for t in reversed(range(1, len(x)))",
     "for t in reversed(range(2, len(x)))"),
    (LSTM, "dW_h: h_t for h_{t-1}",
     "h[t - 1].T @ da[t]",
     "h[t].T @ da[t]"),
    (LSTM, "sums: first step missing",
     "steps = range(1, len(x))",
     "steps = range(2, len(x))"),
    (LSTM, "db: mean for sum over the batch",
     "da[t].sum(axis=0)",
     "da[t].mean(axis=0)"),
    (LSTM, "dx_t: reshaped, not transposed",
     "dx = da @ W_x.T",
     "dx = da @ W_x.reshape(4 * H, F)"),
    (CUT, "(3.4.1) cut one step off",
     "        if t % n:",
     "        if (t + 1) % n:"),
    (CUT, "the recording moves with the weight",
     "before = recording[t - 1]  #",
     "pass  #"),
    (CUT, "the loss of every step: the first forgotten",
     "(h[1:] @ W_hy + b_y - y[1:]) ** 2",
     "(h[2:] @ W_hy + b_y - y[2:]) ** 2"),
    (CUT, "(3.4.2) one lag off",
     "(k_1 + k_2 + 1 - d)",
     "(k_1 + k_2 - d)"),
    (CUT, "parts by lag: slope of tanh skipped",
     "later[:, :, 1:] * slope[:, :, :-1]",
     "later[:, :, 1:]"),
    (CUT, "parts by lag: h_t for h_{t-1}",
     "before = np.roll(h, 1, axis=2)",
     "before = h.copy()"),
    (CUT, "checkpoints: nothing carried from piece to piece",
     "        if not connected:",
     "        if connected:"),
    (CUT, "RTRL (3.4.3): transposed",
     'np.einsum("lk,lij->kij", W_hh, P)',
     'np.einsum("kl,lij->kij", W_hh, P)'),
    (CUT, "RTRL (3.4.3): this step's own part forgotten",
     "(at_this_step + earlier)",
     "earlier"),
    (CUT, "RTRL (3.4.3): slope of the wrong step",
     "P = (1 - state**2)[:, None, None]",
     "P = (1 - h_0[row] ** 2)[:, None, None]"),
    (GATES, "forward: reset before the product",
     "a_g[t] += in_g + b_g + r[t] * s[t]",
     "a_g[t] += in_g + b_g + (r[t] * h[t - 1]) @ w['W_h'][:, -H:]"),
    (GATES, "(3.5.3) the new value forgotten",
     "dz = dh * (h[t - 1] - g[t])",
     "dz = dh * h[t - 1]"),
    (GATES, "(3.5.3) z for 1 - z",
     "dg = dh * (1 - z[t])",
     "dg = dh * z[t]"),
    (GATES, "(3.5.4) dr and ds exchanged",
     "dr = da_g * s[t]\nds = da_g * r[t]",
     "dr = da_g * r[t]\nds = da_g * s[t]"),
    (GATES, "(3.5.5) slope of r: z's",
     "da_r = dr * r[t] * (1 - r[t])\nfound",
     "da_r = dr * z[t] * (1 - z[t])\nfound"),
    (GATES, "(3.5.6) direct path forgotten",
     "carry = dh[t] * z[t] + by_products",
     "carry = by_products"),
    (GATES, "(3.5.6) the candidate's product not transposed",
     "by_products = da_z @ W_hz.T + da_r @ W_hr.T + ds @ W_hg.T",
     "by_products = da_z @ W_hz.T + da_r @ W_hr.T + ds @ W_hg"),
    (GATES, "(3.5.7) a_g for s",
     "into_h = np.concatenate([da_z, da_r, ds], axis=-1)",
     "into_h = np.concatenate([da_z, da_r, da_g], axis=-1)"),
    (GATES, "(3.5.7) s for a_g",
     "into_x = np.concatenate([da_z, da_r, da_g], axis=-1)",
     "into_x = np.concatenate([da_z, da_r, ds], axis=-1)"),
    (GATES, "(3.5.2) the update gate's own part forgotten",
     "step += scaled((h[t - 1] - g[t]) * z[t] * (1 - z[t]), W_hz.T)",
     "step += 0"),
]  # fmt: skip

# Of those in the other pages: in a forward pass, a step, a loop, sums; and in the cut.
QUICK = {
    "forward: g and o read in the other order",
    "df_t: c_t for c_{t-1}",
    "loop: carry of h forgotten",
    "dW_h: h_t for h_{t-1}",
    "(3.4.1) cut one step off",
    "the recording moves with the weight",
    "(3.4.2) one lag off",
    "(3.5.3) the new value forgotten",
    "(3.5.6) direct path forgotten",
    "(3.5.7) a_g for s",
}


def cells(page):
    """Source of the code cells of the derivation.

    Left out are the one that installs the package in Colab, the code to take home, with
    a test of its own, and a measurement with the package, on which nothing builds.
    """
    return [
        cell["source"]
        for cell in read_page(page)
        if cell["cell_type"] == "code"
        and "remove-cell" not in cell["metadata"].get("tags", [])
        and not cell["id"].startswith(("home-", "gru-race-"))
    ]


def run(sources):
    """Execute the cells one after the other; returns the number that raised."""
    names = {"__name__": "__main__"}
    with mpl.rc_context():
        for number, source in enumerate(sources):
            try:
                # So that `inspect.getsource` finds what a cell defines.
                name = f"cell {number}"
                linecache.cache[name] = len(source), None, source.splitlines(True), name
                exec(compile(source, name, "exec"), names)
            except AssertionError:
                return number
            finally:
                plt.close("all")
    return None


@pytest.fixture(autouse=True)
def no_window():
    with mpl.rc_context({"backend": "agg"}):
        yield


def stretch(page, source):
    """The cells up to two behind the one that holds `source`, and its number."""
    sources = cells(page)
    (where,) = [k for k, text in enumerate(sources) if source in text]
    return sources[: where + 3], where


def with_marks(page, source, instead, what):
    """A parameter set; some cells compare with Keras."""
    upto, _ = stretch(page, source)
    keras = any("import keras" in text for text in upto)
    marks = [pytest.mark.keras] if keras else []
    if page != BPTT and what not in QUICK:
        marks.append(pytest.mark.slow)
    name = f"{page.split('/')[-1][:-6]}: {what}"
    return pytest.param(page, source, instead, marks=marks, id=name)


@pytest.mark.parametrize(
    ("page", "source", "instead"),
    [
        with_marks(page, source, instead, what)
        for page, what, source, instead in PLANTED
    ],
)
def test_planted_mistake_stops_the_page(page, source, instead):
    upto, where = stretch(page, source)
    assert upto[where].count(source) == 1
    upto[where] = upto[where].replace(source, instead)
    stopped = run(upto)
    assert stopped is not None and stopped >= where


@pytest.mark.usefixtures("keras")
@pytest.mark.parametrize("page", [BPTT, LSTM, CUT, GATES])
def test_the_same_cells_run_without_a_mistake(page):
    planted = [source for of, _, source, _ in PLANTED if of == page]
    assert run(max((stretch(page, s)[0] for s in planted), key=len)) is None
