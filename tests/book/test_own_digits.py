"""A reader's own pictures, in MNIST's layout but not MNIST, run through the pages.

    python -m tests.book.test_own_digits rotated rotated.npz

writes such a set, to try a page by hand: `UNROLLED_MNIST=rotated.npz`.
"""

import sys

import nbformat
import numpy as np
import pytest

from tests.conftest import ROOT, execute, shorten
from tools.checkout import page_environment
from unrolled.course.ledger import load_claims, read_records
from unrolled.tasks import load_mnist

KINDS = ("rotated", "inverted", "permuted", "shapes", "few")


def make_own(kind):
    """Make ten classes of 28 × 28 pictures that are not MNIST.

    Args:
        kind: what becomes of the 5,000 embedded digits: "rotated" by a right angle,
            "inverted" (black on white) or "permuted" (the same permutation of the
            pixels for all); "shapes" takes drawn ones instead, see `draw_shape`; "few"
            is 300 and 100 of these, the latter without the class 9.

    Returns:
        dict with the arrays `x_train`, `y_train`, `x_test` and `y_test`.
    """
    if kind == "few":
        own = make_own("shapes")
        seen = own["y_test"] != 9
        train, test = slice(300), np.flatnonzero(seen)[:100]
        return {n: a[train if "train" in n else test] for n, a in own.items()}
    rng = np.random.default_rng(0)
    order = rng.permutation(784)
    (x_train, y_train), (x_test, y_test) = load_mnist("embedded")
    own = {"y_train": y_train, "y_test": y_test}
    for name, x, y in (("x_train", x_train, y_train), ("x_test", x_test, y_test)):
        if kind == "rotated":
            own[name] = np.rot90(x, axes=(1, 2)).copy()
        elif kind == "inverted":
            own[name] = 255 - x
        elif kind == "permuted":
            own[name] = x.reshape(len(x), 784)[:, order].reshape(x.shape)
        elif kind == "shapes":
            own[name] = np.stack([draw_shape(label, rng) for label in y])
        else:
            raise ValueError(f"kind is {kind!r}; expected one of {KINDS}")
    return own


def draw_shape(label, rng):
    """Draw one of five shapes, as outline or filled, at a random place, with noise."""
    size = rng.integers(8, 13)
    row, column = rng.integers(size, 28 - size, 2)
    up, right = np.ogrid[:28, :28]
    up, right = abs(up - row), abs(right - column)
    reach = (
        np.maximum(up, right),  # square
        np.hypot(up, right),  # disc
        up + right,  # diamond
        np.minimum(up, right) * 4 + np.maximum(up, right) * 0.5,  # cross
        np.maximum(up * 3, right),  # bar
    )[label // 2]
    inside = reach <= size
    if label % 2:
        inside &= reach > size - 3
    noisy = 200 * inside + rng.normal(20, 20, (28, 28))
    return noisy.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_own_pictures_are_read_and_are_not_mnist(kind, tmp_path):
    mine = tmp_path / f"{kind}.npz"
    np.savez(mine, **make_own(kind))
    (x_train, y_train), (x_test, y_test) = digits = load_mnist(mine)
    assert not digits.is_mnist and digits.name == mine.name
    assert x_train.std() > 10 and set(y_train) == set(range(10))
    missing = {9} if kind == "few" else set()
    assert set(y_test) == set(range(10)) - missing
    if kind == "few":
        assert (len(x_train), len(x_test)) == (300, 100)


# Pages that read digits, and what shortens their training: other pictures take the same
# way through them.
SHORTER = {
    "index": {},
    "4-code/4-train": {
        "LONGER = 290": "LONGER = 60",
        "run in range(3)": "run in (0, 1)",
    },
    "4-code/5-numpy": {"for k in range(5)]": "for k in range(2)]"},
    "4-code/6-comparison": {"  model.train_on": "  done % 20 or model.train_on"},
    "6-faq/3-strengths": {"[100, 200, 400]": "[10, 20, 40]"},
}


@pytest.mark.slow
@pytest.mark.keras
@pytest.mark.parametrize("page", SHORTER)
def test_a_page_runs_through_on_pictures_of_a_readers_own(page, tmp_path):
    """Few of them, and a class missing: what guards of digits would stop first."""
    mine = tmp_path / "mine.npz"
    np.savez(mine, **make_own("few"))
    notebook = nbformat.read(ROOT / "book" / f"{page}.ipynb", 4)
    shorten(notebook, SHORTER[page])
    ours = page_environment(tmp_path / "settings", ROOT)
    ours |= {"UNROLLED_MNIST": str(mine), "UNROLLED_SEED": "1"}
    execute(notebook, tmp_path, env=ours)
    nbformat.write(notebook, tmp_path / "ran.ipynb")
    records = read_records(tmp_path / "ran.ipynb")
    claims = {name for name, c in load_claims().items() if c.get("page") == page}
    assert {record["name"] for record in records} == claims
    for record in records:
        # Neither a recorded run nor a time depends on the pictures.
        data = {
            c["data"]
            for c in record["conditions"]
            if not (c.get("theorem") or c.get("recorded"))
            and c["unit"] != "turns of one run"
        }
        assert all(mine.name in words for words in data), data
        assert data or record["name"] == "framework-is-faster"


if __name__ == "__main__":
    np.savez(sys.argv[2], **make_own(sys.argv[1]))
