"""The helpers of check cells: right answers pass, wrong ones are told what is wrong."""

import re
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse

from unrolled.course import (
    expect_answer,
    expect_close,
    expect_gradient,
    say_right,
    solution,
)
from unrolled.course.answers import compare
from unrolled.course.assignments import Case, Given, Grader, Question, copy_arrays


def test_right_answers_pass():
    expect_answer(a=0, b=np.zeros(2), c="")
    expect_close("x", 0.1 + 0.2, 0.3)
    expect_close("x", [[1, 2]], np.array([[1, 2.0000001]]))
    expect_close("word", "alike", "alike")
    expect_close("large", 1e9 + 1, 1e9, tolerance=1e-8)
    x = np.array([[1.0, -2.0]])
    expect_gradient("dx", 3 * x**2, lambda x: (x**3).sum(), x)


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (Fraction(1, 2), 0.5),
        (Decimal("0.5"), 0.5),
        ([Fraction(1, 2), 10**30], [0.5, 1e30]),
        (np.float16(0.5), 0.5),
        (np.longdouble(0.5), 0.5),
        (np.array(0.5), 0.5),
        (0.5 + 0j, 0.5),
        (np.array([0.5 + 1e-12j, 1]), [0.5, 1.0]),
        (np.linalg.eigvals(np.diag([2.0, 3.0])).astype(complex), [2.0, 3.0]),
        (np.array([True, False]), [1, 0]),
        (np.int64(1), True),
        (((1, 2), [3, np.float32(4)]), [[1, 2], [3, 4]]),
        (np.ma.array([1.0, 2.0]), [1.0, 2.0]),
        (np.ma.array([1.0, 2.0], mask=[False, False]), [1.0, 2.0]),
        (np.array([1.0, 2.0]).view(np.recarray), [1.0, 2.0]),
        (np.str_("alike"), "alike"),
        (np.array("alike"), "alike"),
        (["a", "b"], ["a", "b"]),
        ([], np.zeros(0)),
        (1j, 1j),
    ],
)
def test_a_right_value_of_any_type_passes(got, expected):
    expect_close("x", got, expected)
    assert compare("x", got, expected, tell=False) is None


class Broken:
    """An answer that answers nothing."""

    def __array__(self, *_, **__):
        raise RuntimeError("\ud800" * 1000)

    def __str__(self):
        raise KeyError


def ring():
    """A list that holds itself."""
    endless = []
    endless.append(endless)
    return endless


def nest(depth):
    value = 1.0
    for _ in range(depth):
        value = (value,)
    return value


class Metres(np.ndarray):
    """Numbers with a unit."""

    unit = "m"


WIDE = np.zeros((), "U10000000")  # one word of 40 MB
WRONG = {
    "masked": np.ma.masked_equal([1.0, 2.0], 2),
    "masked, though the data are right": np.ma.array([3.5, 4.5], mask=[1, 0]),
    "masked rows in a list": [np.ma.masked_equal([1.0, 2.0], 2), [1.0, 2.0]],
    "the masked constant": np.ma.masked,
    "all masked": np.ma.masked_all(2),
    "with a unit": np.array([3.5, 4.5]).view(Metres),
    "sparse": scipy.sparse.csr_array([[3.5, 4.5]]),
    "imaginary": np.array([3.5 + 1j, 4.5]),
    "words": ["3.5", "4.5"],
    "bytes": b"3.5",
    "dates": np.array(["2026-01-01"] * 2, "M8[D]"),
    "records": np.zeros(2, "f8,f8"),
    "a set": {3.5, 4.5},
    "a dict": {0: 3.5, 1: 4.5},
    "a generator": (x for x in (3.5, 4.5)),
    "None among them": [3.5, None],
    "a function": len,
    "ragged": [[1, 2], [3]],
    "too large for a float": [10**400, 1],
    "not finite": [np.inf, np.nan],
    "a Decimal that is none": [Decimal("NaN"), Decimal(1)],
    "broken": Broken(),
    "a list of itself": ring(),
    "nested 1,100 deep": nest(1100),
    "two million parts": [0.0] * 2_000_000,
    "a large array": np.zeros(8_000_000),
    "a word of 40 MB": WIDE,
    "letters without end": "x" * 5_000_000,
    "a surrogate": "\ud800",
    "control characters": "\x1b[2J\u202e\0",
    "one long word and many short": ["x" * 100_000, *["y"] * 100_000],
    "64 axes": np.zeros((1,) * 64),
    "no numbers": np.zeros((0, 10**9)),
    "another value": [3.5, 5.5],
    "one number": 3.5,
    "empty": [],
}


@pytest.mark.parametrize("expected", [[3.5, 4.5], "undecided", True], ids=repr)
@pytest.mark.parametrize("got", WRONG.values(), ids=WRONG)
def test_whatever_came_the_words_are_short_and_give_nothing_away(got, expected):
    says = compare("x", got, expected, tell=False)
    assert says is not None and says.isprintable() and len(says) < 500
    assert says.encode()  # no surrogate either
    assert not re.search(r"4\.5|undecided|True", says)


@pytest.mark.parametrize(
    ("got", "expected", "says"),
    [
        (None, [1.0], "x is None; expected numbers of shape (1,)"),
        (..., 1.0, "x is Ellipsis; expected a number"),
        ([[1.0]], [1.0], "x has shape (1, 1); expected (1,)"),
        ([1.0, np.nan], [1.0, 2.0], "x holds NaN or infinity"),
        ([1.0, 2.5], [1.0, 2.0], "x[1] is 2.5; expected 2 (50% of its entries differ)"),
        ([[1], [1, 2]], [1.0], "x is not an array"),
        ("three", 3.0, "x holds words, not numbers; expected a number"),
        (3.0, "alike", "x is not a word; expected a word"),
        ([1.0, 1.0 + 2j], [1.0, 1.0], "x[1] is 1+2j; expected 1 (50%"),
        (np.ma.masked_equal([1.0, 2], 2), [1.0, 2], "x has masked entries; expected"),
        ("a", "undecided", "x is 'a'; expected 'undecided'"),
        (1.0 + 2e-6, 1.0, "expected 1"),
        (True, False, "x is True; expected False"),
        (Fraction(1, 2), 1, "x is 0.5; expected 1"),
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
    run = {"grader": Grader("a1", tmp_path)}
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
        run["grader"].check("q9")


def test_grader_without_its_tests_says_where_they_should_be(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    grader = Grader("a1")
    for ask in (grader.check_all, lambda: grader.check("q1")):
        with pytest.raises(
            ValueError, match=r"holds no checks; expected q1\.py"
        ) as told:
            ask()
        assert str(tmp_path / "tests") in str(told.value) and "a1.zip" in str(
            told.value
        )
    (tmp_path / "tests").mkdir()  # they may come later
    (tmp_path / "tests" / "q1.py").write_text("", encoding="utf-8")
    with pytest.raises(ValueError, match=r"q1\.py in 'tests' holds no checks"):
        grader.check_all()


def test_grader_refuses_the_tests_of_another_assignment(tmp_path):
    text = f"assignment = 'a2'\n{TESTS}"
    (tmp_path / "q1.py").write_text(text, encoding="utf-8")
    for ask in (
        Grader("a1", tmp_path).check_all,
        lambda: Grader("a1", tmp_path).check("q1"),
    ):
        with pytest.raises(ValueError, match="the checks of a2; expected those of a1"):
            ask()
    assert Grader("a2", tmp_path).check_all() is False


def test_grader_asks_for_the_name_of_the_assignment(tmp_path):
    with pytest.raises(ValueError, match="expected the assignment's name"):
        Grader(tmp_path)


def test_grader_takes_questions_in_order(tmp_path):
    for number in (10, 2, 1):
        (tmp_path / f"q{number}.py").write_text(TESTS, encoding="utf-8")
    assert Grader("a1", tmp_path).names == ["q1", "q2", "q10"]


def test_grader_survives_what_an_error_says(tmp_path, capsys):
    (tmp_path / "q1.py").write_text(TESTS, encoding="utf-8")
    run = {"grader": Grader("a1", tmp_path)}
    exec("def double(x): raise ValueError('\\ud800' * 9999)\ngrader.check('q1')", run)
    said = capsys.readouterr().out
    assert said.encode() and len(said) < 5000


def ask(returns, right):
    """A question whose right answer is `right`."""
    return Question("q1", "", "f", returns, lambda rng: [Case("", {})], lambda: right)


PAIR = np.array([1.25, 2.5]), np.array([3.75, 4.5])


@pytest.mark.parametrize(
    "got",
    [PAIR, list(PAIR), np.stack(PAIR), [list(part) for part in PAIR]],
    ids=["tuple", "list", "array", "lists"],
)
def test_several_values_may_come_in_any_sequence(got):
    assert ask(("h", "c"), PAIR).complain({}, got) is None


@pytest.mark.parametrize(
    ("got", "says"),
    [
        (None, "returned None; expected h, c"),
        (PAIR[:1], "returned 1 values; expected h, c"),
        (np.ma.masked_equal(np.stack(PAIR), 4.5), "c has masked entries"),
        (np.float64(1), "returned one; expected h, c"),
        (np.zeros((3, 2)), "returned one; expected h, c"),
        ({"h": 1, "c": 2}, "returned one; expected h, c"),
        ("hc", "returned one; expected h, c"),
        ((PAIR[0], PAIR[0]), "c[0] is 1.25, which is wrong (100% of its entries"),
    ],
)
def test_complaints_do_not_give_the_answer_away(got, says):
    complaint = ask(("h", "c"), PAIR).complain({}, got)
    assert complaint.startswith(says)
    assert not re.search(r"3\.75|4\.5|2\.5", complaint)


def test_complaints_of_public_checks_tell_what_was_expected():
    says = ask(("h",), PAIR[0]).complain({}, 2 * PAIR[0], tell=True)
    assert says == "h[1] is 5; expected 2.5 (100% of its entries differ)"


def test_a_starred_name_stands_for_as_many_values_as_there_are():
    question = ask(("h", "*gradient"), (1.0, 2.0, 3.0))
    assert question.complain({}, (1, 2, 3)) is None
    assert question.complain({}, (1, 2, 4)).startswith("gradient[1] is 4")
    says = question.complain({}, (1, 2))
    assert says == "returned 2 values; expected h, gradient[0], gradient[1]"


def test_arguments_are_copied_whatever_holds_them():
    inside = np.zeros(2)
    given = {"a": (inside, [inside]), "step": Given("step"), "n": 3}
    copied = copy_arrays(given)
    inside += 1
    assert copied["a"][0].sum() == copied["a"][1][0].sum() == 0
    assert copied["step"] == Given("step") and copied["n"] == 3
