"""What a sandbox sends is data, whatever it is; what a notebook is, is no surprise."""

import json
import struct
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tools.grading import child, grade

NUMBERS = arrays.arrays(
    st.sampled_from(["<f8", "<f4", "<i8", "<i2", "|b1", "<c16", "<U3", ">f8"]),
    arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | NUMBERS,
    lambda parts: st.tuples(parts, parts) | st.dictionaries(st.text(), parts),
    max_leaves=6,
)


@given(VALUES)
def test_what_is_sent_comes_back(value):
    outline, blob = child.encode(value)
    back = child.decode(outline, blob)
    assert child.encode(back) == (outline, blob)


@pytest.mark.parametrize(
    ("value", "back"),
    [
        ([1.0, 2.0], np.array([1.0, 2.0])),
        ([[1, 2], [3, 4]], (np.array([1, 2]), np.array([3, 4]))),
        ([Fraction(1, 2), Fraction(1, 4)], (np.array(0.5), np.array(0.25))),
        (np.array([Fraction(1, 2)]), np.array([0.5])),
        (np.ma.array([1.0, 2.0]), np.array([1.0, 2.0])),
        (np.float32(0.5), np.array(0.5, "<f4")),
        (np.arange(3.0, dtype=">f8"), np.arange(3.0)),
        (np.arange(6.0).reshape(2, 3).T, np.arange(6.0).reshape(2, 3).T),
    ],
)
def test_numbers_in_any_form_are_numbers(value, back):
    found = child.decode(*child.encode(value, compact=True))
    assert type(found) is type(back)
    for one, other in zip(np.atleast_1d(found), np.atleast_1d(back), strict=True):
        assert np.asarray(one).dtype == np.asarray(other).dtype
        assert np.array_equal(one, other)


class WithUnit(float):
    """Three metres, of which NumPy would make a three."""

    unit = "m"


def test_arguments_stay_what_they_are():
    """A function that is given a list of integers must not get an array."""
    found = child.decode(*child.encode({"seeds": [1, 2], "rate": 0.5}))
    assert found == {"seeds": (1, 2), "rate": 0.5}
    assert {type(seed) for seed in found["seeds"]} == {int}


@pytest.mark.parametrize(
    "value",
    [
        np.ma.array([1.0, 2.0], mask=[0, 1]),
        WithUnit(3.0),
        np.array(["2026-01-01"], "datetime64[D]"),
        np.zeros(2, [("a", "f8")]),
        object(),
        {1, 2},
        np.array([object()]),
    ],
)
def test_what_is_no_number_is_named(value):
    with pytest.raises(ValueError, match=r"returned .*; expected numbers"):
        child.decode(*child.encode(value))


def outline(value):
    return json.dumps(value).encode()


BAD = [
    {"array": ["<f8", [2], 0]},
    {"array": ["<f8", [1], 8]},
    {"array": ["<f8", [1], -8]},
    {"array": ["<f8", [1], 0.0]},
    {"array": ["<f8", [-1], 0]},
    {"array": ["<f8", [True], 0]},
    {"array": ["<f8", [1] * 33, 0]},
    {"array": ["<f8", [10**300, 0], 0]},
    {"array": ["<f8", 1, 0]},
    {"array": ["O", [1], 0]},
    {"array": ["<f8,<f8", [1], 0]},
    {"array": ["(1000000,)<f8", [1], 0]},
    {"array": ["<U99999999", [1], 0]},
    {"array": [8, [1], 0]},
    {"array": []},
    {"tuple": [{"array": ["<f8", [1], 0]}] * 2},
    {"tuple": 3},
    {"dict": []},
    {"value": []},
    {"value": {}},
    {"given": "nothing"},
    {"given": []},
    {"other": "ndarray"},
    {"code": "1"},
    {},
    [],
    3,
    {"value": 1, "tuple": []},
]


@pytest.mark.parametrize("bad", BAD, ids=map(str, range(len(BAD))))
def test_what_no_answer_says_is_refused(bad):
    with pytest.raises(ValueError, match=r"answer|array|expected numbers"):
        child.decode(outline(bad), bytes(8))


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[" * 100_000, b"\xff", b'{"value": 1' + b"0" * 9999 + b"}"]
)
def test_what_is_no_outline_is_refused(text):
    with pytest.raises(ValueError, match="not an answer"):
        child.decode(text, b"")


def test_overlapping_arrays_take_no_memory():
    part = {"array": ["<f8", [100_000], 0]}
    text, blob = outline({"tuple": [part] * 300}), bytes(800_000)
    tracemalloc.start()
    with pytest.raises(ValueError, match="not an answer"):
        child.decode(text, blob)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 4 * len(blob)


PIECES = st.sampled_from([
    *(b'{"array": ', b'["<f8", [1], 0]', b'{"tuple": [', b"]}", b"}", b"{", b", "),
    *(b'{"value": ', b"NaN", b"1e999", b'"\\ud800"', b"null", b"[", b'"x": '),
])


@pytest.mark.slow
@settings(max_examples=300)
@given(st.lists(PIECES, max_size=12).map(b"".join) | st.binary(max_size=60), NUMBERS)
def test_any_frame_is_a_value_or_refused(text, array):
    for content in (text, child.encode(array)[0] + text):
        try:
            child.decode(content, array.tobytes())
        except ValueError:
            continue


@pytest.mark.slow
@settings(max_examples=300)
@given(st.binary(max_size=200), st.lists(st.integers(0, 2**32 - 1), max_size=6))
def test_any_stream_has_frames_or_none(data, sizes):
    for stream in (data, struct.pack(f"<{len(sizes)}I", *sizes) + data):
        frames = list(child.unpack(stream))
        taken = sum(12 + len(o) + len(b) for _, o, b in frames)
        assert taken <= len(stream)


@given(st.text(max_size=1000))
def test_words_are_one_short_line_that_can_be_written(text):
    shown = grade.words(child.encode(text))
    shown.encode()
    assert len(shown) <= grade.WORDS and (not shown or shown.isprintable())


@pytest.mark.parametrize(
    "frame",
    [
        child.encode(np.zeros(1000)),
        child.encode({"a": "b"}),
        child.encode("x" * 100_000),
        (b"[", b""),
    ],
)
def test_what_is_no_word_is_not_printed(frame):
    assert grade.words(frame) == "could not be read"


CELLS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "cell_type": st.sampled_from(["code", "markdown", "raw", None, 3]),
            "source": st.text() | st.lists(st.text()) | st.none() | st.integers(),
            "id": st.none() | st.text(),
        },
    ),
    max_size=4,
)
NOTEBOOKS = st.fixed_dictionaries(
    {},
    optional={
        "cells": CELLS | st.none(),
        "metadata": st.none()
        | st.fixed_dictionaries(
            {},
            optional={
                "kernelspec": st.none() | st.just({"language": "python"}) | st.text(),
                "language_info": st.none() | st.just({"name": "R"}) | st.just([]),
            },
        ),
        "worksheets": st.just([]),
        "nbformat": st.integers(),
    },
)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda parts: st.lists(parts) | st.dictionaries(st.text(), parts),
    max_leaves=5,
)


@pytest.mark.slow
@settings(max_examples=300)
@given((NOTEBOOKS | JSON).map(lambda n: json.dumps(n).encode()) | st.binary())
def test_any_file_is_cells_or_unreadable(data):
    try:
        cells = child.read_cells(data)
    except child.Unreadable as error:
        assert str(error)
    else:
        assert all(isinstance(source, str) and number > 0 for number, source in cells)


def test_cells_without_a_source_are_empty():
    cells = [{"cell_type": "code"}, {}, {"cell_type": "code", "source": None}]
    cells.append({"cell_type": "code", "source": "x"})
    data = json.dumps({"cells": cells}).encode()
    assert child.read_cells(data) == [(1, ""), (2, ""), (3, "x")]


def test_what_cells_import_takes_none_of_their_time():
    cells = [
        (1, "import numpy as np\nx = 'from y'"),
        (2, "if x:\n    from a.b import c"),
    ]
    cells.append((3, "plt.matplotlib"))
    names = ("matplotlib.pyplot", "keras")
    assert child.wanted(names, cells) == ["matplotlib.pyplot", "numpy", "a.b"]
    many = [(1, "".join(f"import m{n}\n" for n in range(1000)))]
    assert len(child.wanted((), many)) == child.MOST_IMPORTED


def test_the_time_to_read_cells_grows_with_the_file():
    """110 kB of blank lines once took minutes; a quadratic search would again."""
    source = "\n" * 4_000_000 + "# experimental"
    notebook = {"cells": [{"cell_type": "code", "source": source}]}
    ((_, kept),) = child.read_cells(json.dumps(notebook).encode())
    assert kept == source
