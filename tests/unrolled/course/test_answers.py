"""The helpers of check cells: right answers pass, wrong ones are told what is wrong."""

import numpy as np
import pytest

from unrolled.course import (
    expect_answer,
    expect_close,
    expect_gradient,
    say_right,
    solution,
)
from unrolled.course.assignments import Grader


def test_right_answers_pass():
    expect_answer(a=0, b=np.zeros(2), c="")
    expect_close("x", 0.1 + 0.2, 0.3)
    expect_close("x", [[1, 2]], np.array([[1, 2.0000001]]))
    expect_close("word", "alike", "alike")
    expect_close("large", 1e9 + 1, 1e9, tolerance=1e-8)
    x = np.array([[1.0, -2.0]])
    expect_gradient("dx", 3 * x**2, lambda x: (x**3).sum(), x)


@pytest.mark.parametrize(
    ("got", "expected", "says"),
    [
        (None, [1.0], "x is None; expected numbers of shape (1,)"),
        (..., 1.0, "x is Ellipsis; expected a number"),
        ([[1.0]], [1.0], "x has shape (1, 1); expected (1,)"),
        ([1.0, np.nan], [1.0, 2.0], "x holds NaN or infinity"),
        ([1.0, 2.5], [1.0, 2.0], "x[1] is 2.5; expected 2 (50% of its entries differ)"),
        ([[1], [1, 2]], [1.0], "x is not an array"),
        ("three", 3.0, "x holds <U5, not numbers"),
        ("a", "undecided", "x is 'a'; expected 'undecided'"),
        (1.0 + 2e-6, 1.0, "expected 1"),
        (True, False, "x is True; expected False"),
    ],
)
def test_wrong_answers_are_told(got, expected, says):
    with pytest.raises(AssertionError) as told:
        expect_close("x", got, expected)
    assert says in str(told.value)


@pytest.mark.parametrize("empty", [..., None])
def test_empty_answers_are_told(empty):
    with pytest.raises(AssertionError, match="b is empty"):
        expect_answer(a=1, b=empty)


def check(**answers):
    """A check cell that is content with everything."""
    expect_answer(**answers)
    say_right("it is so")


OURS, YOURS = "The solution was filled in, and passes: it is so\n", "Right: it is so\n"
# Python holds one object for many of these, however often they are typed.
KINDS = {
    "float": lambda: 0.5,
    "int": lambda: 16,
    "word": lambda: "alike",
    "no word": lambda: "",
    "bool": lambda: True,
    "NumPy bool": lambda: np.True_,
    "NumPy integer": lambda: np.int64(16),
    "complex": lambda: 1j,
    "array": lambda: np.arange(3),
    "list": lambda: [1, 2],
    "dict": lambda: {"i": "fo"},
    "function": lambda: lambda x: x,
    "class": lambda: type("Cell", (), {}),
}


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_a_check_says_whose_answer_it_was(make, capsys):
    filled_in = solution(make())
    runs = [filled_in, make(), filled_in, filled_in, make(), make(), solution(make())]
    for answer in runs:
        check(answer=answer)
    said = capsys.readouterr().out.splitlines(keepends=True)
    assert said == [OURS, YOURS, OURS, OURS, YOURS, YOURS, OURS]


def test_a_solution_stays_what_it_is():
    for make in KINDS.values():
        if not callable(make()):
            assert np.array_equal(solution(make()), make())
    assert {"alike": 1}[solution("alike")] == {16: 1}[solution(16)] == 1
    assert solution(True) and not solution(False)

    @solution
    def double(x):
        return 2 * x

    @solution
    class Cell:
        pass

    assert double(2) == 4 and isinstance(Cell(), Cell)


def test_a_solution_beside_an_own_answer(capsys):
    check(a=1, b=solution(2), c=solution([3]))
    said = "Right, with the solution filled in for b, c: it is so\n"
    assert capsys.readouterr().out == said
    expect_answer(a=1)
    say_right()
    assert capsys.readouterr().out == "Right.\n"


def test_no_later_answer_passes_for_a_solution(capsys):
    """An address is free again when its object is gone: solutions stay."""
    for _ in range(100):
        solution([1])
        check(answer=[1])
    assert capsys.readouterr().out == 100 * YOURS


def test_a_wrong_gradient_is_told():
    at = np.array([1.0, 2.0])
    with pytest.raises(AssertionError, match=r"dx\[1\] is 2; expected 4"):
        expect_gradient("dx", np.array([2.0, 2.0]), lambda x: (x**2).sum(), at)
    assert np.array_equal(at, [1, 2])


TESTS = """
from unrolled.course.assignments import test_case


@test_case(points=0)
def test_some_words(double):
    assert double(2) == 4, f"double(2) is {double(2)}; expected 4"


@test_case(points=0)
def test_it_adds(double):
    double(1) + 1
"""


def test_grader_tells_what_failed(tmp_path, capsys):
    (tmp_path / "q1.py").write_text(TESTS, encoding="utf-8")
    run = {"grader": Grader(tmp_path)}
    exec("first = grader.check('q1')", run)
    said = capsys.readouterr().out
    assert "✗ some words: double is not there yet" in said
    assert "q1: 0 of 2 public checks, not yet." in said
    exec("def double(x): pass\ngrader.check('q1')", run)
    said = capsys.readouterr().out
    assert "double(2) is None; expected 4" in said
    assert "is its answer still missing?" in said
    exec("def double(x): return 2 * x\nlast = grader.check_all()", run)
    assert "✓ some words" in capsys.readouterr().out
    assert (run["first"], run["last"]) == (False, True)
    with pytest.raises(ValueError, match="question is 'q9'; expected one of 'q1'"):
        Grader(tmp_path).check("q9")
