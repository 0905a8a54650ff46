"""The book on two pages: its links lead somewhere, its equations are right."""

import re

import numpy as np
import pytest

from tests.book.anchors import sections
from tests.conftest import ROOT, read_page
from unrolled import GRU, LSTM, RNN, course
from unrolled.course.findings import link, load_findings
from unrolled.course.ledger import load_claims
from unrolled.lstm import sigmoid

PAGE = "book/summary.ipynb"
TEXT = "\n".join(c["source"] for c in read_page(PAGE) if c["cell_type"] == "markdown")
B, T, F, H = 3, 5, 2, 4


def links():
    """(number, page, anchor or "") of every link of the page and of its findings."""
    told = [link(load_claims()[finding["claim"]]) for finding in load_findings()]
    text = "\n".join([TEXT, *told])
    return re.findall(r"\[(\d\.\d+)\]\(([\w/-]+\.ipynb)(?:#([^)]+))?\)", text)


def test_links():
    found = links()
    assert len(found) > 40 and len(found) == len(re.findall(r"\]\(\d-", TEXT)) + 10
    for number, page, anchor in found:
        chapter, name = re.match(r"(\d+)-[\w-]+/(\d+)-", page).groups()
        assert number == f"{chapter}.{name}"
        assert (ROOT / "book" / page).exists()
        assert not anchor or anchor in sections(page), f"{page}#{anchor}"


def test_no_share_is_beyond_what_is_possible(monkeypatch):
    """What the page says of the findings: intervals of shares end at 0 and 100 %."""
    [cell] = [c["source"] for c in read_page(PAGE) if c.get("id") == "findings"]
    said = []
    monkeypatch.setattr(course, "say", said.append)
    exec(cell, {})
    ends = r"\[([-\d.]+)%?, ([-\d.]+)(?:%\]|\]%)"
    shares = re.findall(ends, said[0].replace("−", "-"))
    assert len(shares) == 3
    assert all(0 <= float(low) < float(high) <= 100 for low, high in shares)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def ready(cell, rng):
    """A built layer with random weights and biases, an input and slopes of a loss."""
    layer = cell(H, dtype="float64")
    layer.build(F)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    return layer, rng.normal(size=(B, T, F)), rng.normal(size=(B, T, H))


def compare(layer, x, slopes, h, back):
    """The package finds the same states, and the same gradients of input and weights.

    Args:
        layer: of the package.
        x: its input.
        slopes: of the loss at every step, l_t.
        h: states that the page's forward equations give, h_0 first.
        back: (blocks of da for W_x, blocks for W_h) at each step, from the page.
    """
    states, _ = layer.forward(x)
    np.testing.assert_allclose(states, np.stack(h[1:], axis=1))
    dx, _, gradients = layer.backward(slopes)
    for_x, for_h = (np.stack(blocks, axis=1) for blocks in zip(*back, strict=True))
    W_x, _, b = layer.get_weights()
    expected = [
        np.einsum("btf,btk->fk", x, for_x),
        np.einsum("bth,btk->hk", np.stack(h[:-1], axis=1), for_h),
        np.stack([for_x.sum((0, 1)), for_h.sum((0, 1))][: b.ndim]),
    ]
    np.testing.assert_allclose(dx, for_x @ W_x.T)
    for found, right in zip(gradients.values(), expected, strict=True):
        np.testing.assert_allclose(found, right.reshape(found.shape))


def test_rnn(rng):
    layer, x, slopes = ready(RNN, rng)
    W_xh, W_hh, b_h = layer.get_weights()
    h = [np.zeros((B, H))]
    for t in range(T):
        h.append(np.tanh(x[:, t] @ W_xh + h[t] @ W_hh + b_h))
    back, da = [], np.zeros((B, H))
    for t in reversed(range(T)):
        dh = slopes[:, t] + da @ W_hh.T
        da = dh * (1 - h[t + 1] ** 2)
        back.insert(0, (da, da))
    compare(layer, x, slopes, h, back)


def test_lstm(rng):
    layer, x, slopes = ready(LSTM, rng)
    W_x, W_h, b = layer.get_weights()
    lines = re.search(r"```python\n(.+?)```", TEXT, re.DOTALL)[1]
    now = {"np": np, "x": x, "W_x": W_x, "W_h": W_h, "b": b}
    now |= {"sigmoid": lambda a: sigmoid(a.copy())}
    now |= {"h": np.zeros((B, H)), "c": np.zeros((B, H))}
    h, kept = [now["h"]], []
    for t in range(T):
        before = now["c"]
        exec(lines, step := dict(now, t=t))
        now |= {name: step[name] for name in "hc"}
        i, f, o = (now["sigmoid"](step[name]) for name in "ifo")
        kept.append((i, f, np.tanh(step["g"]), o, before, step["c"]))
        h.append(step["h"])
    back, da, dc, f_after = [], np.zeros((B, 4 * H)), 0, 0
    for t in reversed(range(T)):
        i, f, g, o, before, c = kept[t]
        dh = slopes[:, t] + da @ W_h.T
        dc = dh * o * (1 - np.tanh(c) ** 2) + dc * f_after
        da_o = dh * np.tanh(c) * o * (1 - o)
        da_f = dc * before * f * (1 - f)
        da_i = dc * g * i * (1 - i)
        da_g = dc * i * (1 - g**2)
        da, f_after = np.concatenate([da_i, da_f, da_g, da_o], axis=1), f
        back.insert(0, (da, da))
    compare(layer, x, slopes, h, back)


def test_gru(rng):
    layer, x, slopes = ready(GRU, rng)
    W_x, W_h, (b, second) = layer.get_weights()
    h, kept = [np.zeros((B, H))], []
    for t in range(T):
        from_x = np.split(x[:, t] @ W_x + b, 3, axis=1)
        from_h = np.split(h[t] @ W_h + second, 3, axis=1)
        z, r = sigmoid(from_x[0] + from_h[0]), sigmoid(from_x[1] + from_h[1])
        s = from_h[2]
        g = np.tanh(from_x[2] + r * s)
        h.append(z * h[t] + (1 - z) * g)
        kept.append((z, r, s, g))
    back, blocks, dh, z_after = [], np.zeros((B, 3 * H)), 0, 0
    for t in reversed(range(T)):
        z, r, s, g = kept[t]
        dh = slopes[:, t] + dh * z_after + blocks @ W_h.T
        da_z = dh * (h[t] - g) * z * (1 - z)
        da_g = dh * (1 - z) * (1 - g**2)
        da_r, ds = da_g * s * r * (1 - r), da_g * r
        blocks, z_after = np.concatenate([da_z, da_r, ds], axis=1), z
        back.insert(0, (np.concatenate([da_z, da_r, da_g], axis=1), blocks))
    compare(layer, x, slopes, h, back)


def test_parameters():
    """The row of the table, word for word, and what the package counts."""
    row = "| **weights** | $H (F + H + 1)$ | $4 H (F + H + 1)$ | $3 H (F + H + 2)$ |"
    assert row in TEXT
    sizes = H * (F + H + 1), 4 * H * (F + H + 1), 3 * H * (F + H + 2)
    for cell, size in zip((RNN, LSTM, GRU), sizes, strict=True):
        layer = cell(H)
        layer.build(F)
        assert layer.count_params() == size
