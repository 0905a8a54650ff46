"""Guards refuse what is too near or on the wrong side; sentences say what came out."""

import numpy as np
import pytest

from tests.conftest import execute
from unrolled.course import as_table, at_most, guard, how_many, in_short, say

SPREAD = (1.0, 0.1)


@pytest.mark.parametrize("value", [0.6, np.float32(0.6), np.array(0.6), np.array([7])])
def test_a_guard_lets_pass(value):
    guard("the value", value, above=0.5, spread=SPREAD)


@pytest.mark.parametrize(
    ("value", "bounds", "side"),
    [
        (0.4, {"above": 0.5}, "above 0.5"),
        (0.5, {"above": 0.5}, "above 0.5"),  # on the bound is not beyond it
        (1.6, {"below": 1.5}, "below 1.5"),
        (1.6, {"above": 0.5, "below": 1.5}, "below 1.5"),
        (np.nan, {"above": 0.5}, "above 0.5"),
        (np.nan, {"below": 1.5}, "below 1.5"),
    ],
)
def test_a_guard_stops(value, bounds, side):
    with pytest.raises(AssertionError, match=f"the value: .* is not {side}") as stop:
        guard("the value", value, spread=SPREAD, **bounds)
    assert "1 ± 0.1" in str(stop.value)  # what other seeds gave
    assert "5 standard deviations" in str(stop.value)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"above": 0.6}, "above of 'the value' is 0.6, 4.0 standard deviations"),
        ({"below": 1.4}, "4.0 standard deviations"),
        ({"above": 1.5}, "-5.0 standard deviations"),  # most seeds fail
        ({"above": np.nan}, "above"),
        ({}, "no bound"),
        ({"above": 0.5, "spread": 1.0}, "spread"),
        ({"above": 0.5, "spread": (1.0, 0.0)}, "spread"),
        ({"above": 0.5, "spread": (np.nan, 0.1)}, "spread"),
        ({"above": 0.5, "spread": (1.0, "wide")}, "spread"),
        ({"above": 0.5, "value": [1, 2]}, "value"),
        ({"above": 0.5, "value": "much"}, "value"),
        ({"above": 0.5, "value": True}, "value"),  # a count has no spread
    ],
)
def test_a_guard_that_says_nothing_is_refused(arguments, says):
    arguments = {"value": 1.0, "spread": SPREAD} | arguments
    with pytest.raises(ValueError, match=says):
        guard("the value", **arguments)


def test_how_many():
    assert how_many([True, False, True]) == "2 of 3"
    assert how_many(np.zeros((2, 5), bool)) == "none of 10"
    assert how_many([1 > 0] * 5) == "all 5"
    assert how_many(4, of=5) == "4 of 5"
    assert how_many(0, of=5) == "none of 5"
    assert how_many([]) == "none of 0"


def test_say_prints_outside_of_a_notebook(capsys):
    say("None of 5 learns.", ["first", "second"])
    assert capsys.readouterr().out == "None of 5 learns.\n\n* first\n* second\n"


def test_a_summary_is_printed_where_there_is_no_page(capsys):
    summary = in_short()
    assert capsys.readouterr().out == ""
    summary("One.", ["a", "b"])
    assert capsys.readouterr().out == "**In short.** One.\n\n* a\n* b\n"


def test_a_summary_stands_where_its_place_was_reserved(tmp_path):
    """Though it is written at the end of the page."""
    import nbformat

    cells = [
        "from unrolled.course import in_short\nsummary = in_short()",
        "found = 7",
        "summary(f'It is {found}.')",
    ]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in cells]
    )
    execute(notebook, tmp_path)
    (output,) = notebook.cells[0].outputs
    assert output.data["text/markdown"] == "**In short.** It is 7."
    assert not notebook.cells[2].outputs


@pytest.mark.parametrize(
    ("number", "digits", "written"),
    [
        (5.2e-7, 1, "6e-07"),
        (9.2e-7, 1, "1e-06"),
        (1e-15, 1, "1e-15"),
        (5.21e-7, 2, "5.3e-07"),
        (np.float32(0), 1, "0e+00"),
    ],
)
def test_a_bound_is_rounded_up(number, digits, written):
    assert at_most(number, digits) == written


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_nothing_bounds_what_is_not_finite(number):
    with pytest.raises(ValueError, match="expected a finite number"):
        at_most(number)


def test_a_table_keeps_its_columns():
    table = as_table(["a|b", "c"], [[1, "x | y"], [np.int64(2), ""]])
    assert table.splitlines() == [
        "| a\\|b | c |",
        "| --- | --- |",
        "| 1 | x \\| y |",
        "| 2 |  |",
    ]


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("by -0.001 ± 0.004, (-3 to -0.00)", "by −0.001 ± 0.004, (−3 to 0.00)"),
        ("1e-07, -7.5e-16, +0.035", r"${10^{-7}}$, ${-7.5 \cdot 10^{-16}}$, +0.035"),
        ("`x[-1]`, [a](p.ipynb#-2), $-1$", "`x[-1]`, [a](p.ipynb#-2), $-1$"),
        ("2083-09-19, T-1, 10-20, 4-code", "2083-09-19, T-1, 10-20, 4-code"),
        ("````text\n a -1 ` -2\n````\n-2.5%", "````text\n a -1 ` -2\n````\n−2.5%"),
    ],
)
def test_sentences_have_numbers_as_books_do(typed, read, capsys):
    say(typed)
    assert capsys.readouterr().out == f"{read}\n"
