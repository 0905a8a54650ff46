"""Graders tested by mutation: a mistake costs its own question, and no other."""

import ast
import functools
import hashlib
import re
import warnings

import numpy as np
import pytest

from tests.tools.grading.classroom import (
    NAMES,
    fingerprint,
    known,
    load,
    once,
    solution,
)
from tools.grading import child
from unrolled.course.assignments import Given, copy_arrays, fill_in

pytestmark = pytest.mark.slow  # `make test` plants every mistake

KNOWN = {name: known(name) for name in NAMES}
ASSIGNMENTS = {name: load(name) for name in NAMES}


def points(name, source, wrong=None):
    """Points of each question for a notebook's source, in this process.

    A question is asked once for all sources that agree on everything but the answers
    to the others; a slow one that is `wrong`, only up to its first mistake.
    """
    namespace = {"__name__": "submission"}
    exec(source, namespace)
    earned = {}
    for question in ASSIGNMENTS[name].questions:
        key = (name, question.name, without_others(name, question, source))
        if key in EARNED:
            earned[question.name] = EARNED[key]
            continue
        stop = question.seconds > 2 and question.name == wrong
        earned[question.name] = earn(name, question, namespace, stop)
        if not stop:
            EARNED[key] = earned[question.name]
    return earned


EARNED = {}


def earn(name, question, namespace, stop):
    """Points for the cases that pass; those before the first that fails if `stop`."""
    given, total = ASSIGNMENTS[name].functions(), 0
    for case in question.cases(np.random.default_rng(1)):
        if passes(question, case, namespace, given):
            total += case.points
        elif stop:
            break
    return total


def without_others(name, question, source):
    """Source without the functions that answer the other questions."""
    others = {q.function for q in ASSIGNMENTS[name].questions} - {question.function}
    kept = (n for n in ast.parse(source).body if getattr(n, "name", None) not in others)
    return "\n".join(map(ast.unparse, kept))


def passes(question, case, namespace, given):
    """Whether the answer to one case is right, and its arguments are left alone."""
    arguments = copy_arrays(case.arguments)
    try:
        with warnings.catch_warnings(action="ignore"):  # as in the grader
            got = namespace[question.function](**fill_in(arguments, given))
        got = child.decode(*child.encode(got))  # as it comes out of the sandbox
    except Exception:  # a mistake may fail in any way
        return False
    if child.encode(case.arguments) != child.encode(arguments):
        return False
    return question.complain(case.arguments, got, given) is None


def full(name):
    return {q.name: q.points for q in ASSIGNMENTS[name].questions}


def case(name, *values):
    """A parameter set; A3's answers train networks of Keras, which EARNED remembers."""
    marks = [pytest.mark.keras, pytest.mark.slow, pytest.mark.xdist_group("a3")]
    return pytest.param(name, *values, marks=marks if name == "a3" else [])


def where_keras_trains_once(test):
    """A3's networks train for minutes: again only where something changed."""

    @functools.wraps(test)
    def run(name, **about):
        if name != "a3":
            test(name, **about)
            return
        told = repr(sorted(about.items())).encode()
        what = f"a3-{test.__name__}-{hashlib.sha256(told).hexdigest()[:16]}"
        once(what, fingerprint(name), test, name, **about)

    return run


QUESTIONS = [(name, q.name) for name in NAMES for q in ASSIGNMENTS[name].questions]
MUTANTS = [
    case(name, question, *mutant)
    for name, question in QUESTIONS
    for mutant in KNOWN[name].MUTANTS[question]
]


@pytest.mark.parametrize("name", [*map(case, NAMES)])
@where_keras_trains_once
def test_solution_has_full_marks(name):
    assert points(name, solution(name)) == full(name)


@pytest.mark.parametrize(("name", "question"), QUESTIONS)
def test_enough_mistakes_and_alternatives(name, question):
    assert len(KNOWN[name].MUTANTS[question]) >= 8
    assert len(KNOWN[name].ALTERNATIVES[question]) >= 3


@pytest.mark.parametrize(("name", "question", "right", "wrong"), MUTANTS)
@where_keras_trains_once
def test_a_mistake_costs_its_question_and_no_other(name, question, right, wrong):
    source = solution(name)
    assert source.count(right) == 1, f"{source.count(right)} times: {right}"
    got, whole = points(name, source.replace(right, wrong), question), full(name)
    assert got.pop(question) < whole.pop(question)
    assert got == whole


@pytest.mark.parametrize(("name", "question"), [case(*q) for q in QUESTIONS])
@where_keras_trains_once
def test_other_right_solutions_have_full_marks(name, question):
    for source in KNOWN[name].ALTERNATIVES[question]:
        assert points(name, f"{solution(name)}\n\n{source}") == full(name), source


def lower(value):
    """All floating-point numbers in float32, as who saves memory would have them."""
    if isinstance(value, (np.ndarray, float)):
        value = np.asarray(value)
        return value.astype(np.float32) if value.dtype.kind == "f" else value
    if isinstance(value, (tuple, list)) and not isinstance(value, Given):
        return tuple(map(lower, value))
    if isinstance(value, dict):
        return {name: lower(part) for name, part in value.items()}
    return value


@pytest.mark.parametrize(
    ("name", "question"), [q for q in QUESTIONS if q != ("a3", "q5")]
)
def test_float32_throughout_has_full_marks(name, question):
    """Keras trains in it anyway, so question 5 of A3 needs no test of its own."""
    question, given = find(name, question), ASSIGNMENTS[name].functions()
    namespace = {"__name__": "submission"}
    exec(solution(name), namespace)
    for seed in range(10):
        for case in question.cases(np.random.default_rng([32, seed])):
            arguments = lower(copy_arrays(case.arguments))
            got = namespace[question.function](**fill_in(arguments, given))
            assert question.complain(case.arguments, lower(got), given) is None


ODD = {
    "None": None,
    "nothing": (),
    "five of None": (None,) * 5,
    "a word": "\ud800\0" * 5000,
    "a dict": {"h": np.zeros(3)},
    "NaN": np.full((2, 3), np.nan),
    "infinity": (np.inf,) * 2,
    "complex": np.ones((2, 3, 4)) * 1j,
    "masked": np.ma.masked_all((2, 3)),
    "objects": np.array([None, {}, len], dtype=object),
    "dates": np.zeros(3, "M8[s]"),
    "one large array": np.zeros((2, 1_000_000)),
    "many axes": np.zeros((1,) * 40),
    "no numbers": np.zeros((2, 0, 3)),
    "a long list": [0.0] * 20_000,
    "lists in lists": [[[[[[1.0]]]]], [[2.0, [3.0]]]],
    "long words": ("x" * 100_000, ["y"] * 1000),
    "a class": int,
}


@pytest.mark.parametrize(("name", "question"), QUESTIONS)
def test_any_answer_gets_a_short_complaint(name, question):
    """Whatever comes, alone or in the place of each value: never an error."""
    question, given = find(name, question), ASSIGNMENTS[name].functions()
    case = question.cases(np.random.default_rng(1))[0]
    right = right_answer(question, case, given)
    for odd in ODD.values():
        answers = [odd]
        if isinstance(right, tuple):
            answers += [replace(right, k, odd) for k in range(len(right))]
        for got in answers:
            says = question.complain(case.arguments, got, given)
            assert says and says.isprintable() and len(says) < 500


@pytest.mark.parametrize(
    ("name", "question"), [q for q in QUESTIONS if q != ("a3", "q5")]
)
def test_complaints_show_the_student_s_value_and_no_other(name, question):
    question, given = find(name, question), ASSIGNMENTS[name].functions()
    for case in question.cases(np.random.default_rng(2)):
        right = right_answer(question, case, given)
        for k, value in enumerate(right if isinstance(right, tuple) else [right]):
            wrong = spoilt(value)
            got = replace(right, k, wrong) if isinstance(right, tuple) else wrong
            says = question.complain(case.arguments, got, given)
            told = re.fullmatch(
                r"\w+(\[\d+\])?(\[[\d, ]+\])? is (.+), which is wrong"
                r"( \(\d+% of its entries differ\))?",
                says,
            )
            wrong = np.asarray(wrong)
            shown = "{!r}" if wrong.dtype.kind == "U" else "{:.6g}"
            shown = "{}" if wrong.dtype.kind == "b" else shown
            assert told[3] in {shown.format(entry) for entry in wrong.ravel().tolist()}


def find(name, question):
    return next(q for q in ASSIGNMENTS[name].questions if q.name == question)


def replace(values, place, value):
    return (*values[:place], value, *values[place + 1 :])


def spoilt(value):
    """The value with every entry wrong."""
    value = np.asarray(value)
    if value.dtype.kind == "U":
        return "wrong"
    return ~value if value.dtype.kind == "b" else value + 7.12345


def right_answer(question, case, given):
    """What the reference gives; for A3's training, the book's networks untrained."""
    if question.reference is not None:
        return question.reference(**fill_in(case.arguments, given))
    from unrolled import GRU, SequenceClassifier

    network, x_test = case.arguments["network"], case.arguments["x_test"]
    model = SequenceClassifier(GRU(network["units"]), network["classes"], seed=3)
    p = model.predict(x_test)
    return p[None], (tuple(model.get_weights()),)
