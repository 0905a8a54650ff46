"""Course assignments: students check themselves, graders compare values.

`Grader` runs the public tests that come with a hand-out: it has the interface of
otter-grader's `Notebook`, which need not be installed. `Assignment`, `Question` and
`Case` say what marks are computed from: arguments that are drawn anew each time, and a
reference that only the grader has.
"""

import dataclasses
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from unrolled.checks import check_choice
from unrolled.course.answers import compare


class Given(NamedTuple):
    """A placeholder, among a case's arguments, for a function that the hand-out gives.

    Attributes:
        name: name of a function that `Assignment.given` defines.
    """

    name: str


@dataclasses.dataclass(frozen=True)
class Case:
    """One call of a student's function.

    Attributes:
        name: what is special about it, in words: "a batch of one".
        arguments: dict by parameter name: arrays, numbers, words, `Given`, and tuples
            or dicts of them.
        points: what a right answer earns.
    """

    name: str
    arguments: dict[str, Any]
    points: float = 1


@dataclasses.dataclass(frozen=True)
class Question:
    """One function to write, and what its results are compared with.

    Attributes:
        name: as in the master notebook: "q1".
        title: a few words.
        function: the name that the student's notebook must define.
        returns: names of what it returns, one or several, for messages.
        cases: function of a `numpy.random.Generator` that returns a list of `Case`; the
            points of all cases are the question's.
        reference: the right function, with the same parameters.
        tolerance: as in `unrolled.course.answers.expect_close`.
        judge: used in place of `reference` if more than one answer is right: function
            of a case's arguments and of the result that returns what is wrong in words,
            or None if it is right.
        seconds: time limit for all cases together.
    """

    name: str
    title: str
    function: str
    returns: tuple[str, ...]
    cases: Callable[[np.random.Generator], list[Case]]
    reference: Callable[..., Any] | None = None
    tolerance: float = 1e-6
    judge: Callable[[dict[str, Any], Any], str | None] | None = None
    seconds: float = 2

    @property
    def points(self) -> float:
        """The points of all cases together."""
        return sum(case.points for case in self.cases(np.random.default_rng(0)))

    def complain(
        self,
        arguments: dict[str, Any],
        got: Any,
        given: dict[str, Any] | None = None,
    ) -> str | None:
        """Say in words what is wrong with the result of a case; None if it is right.

        Args:
            arguments: the case's arguments, as they were before the call.
            got: what the function returned.
            given: the functions for which `Given` stands, by name.
        """
        if self.judge is not None:
            return self.judge(arguments, got)
        assert self.reference is not None, f"{self.name} has no reference and no judge"
        expected = self.reference(**fill_in(arguments, given or {}))
        if len(self.returns) == 1:
            expected, got = (expected,), (got,)
        if not isinstance(got, (tuple, list)) or len(got) != len(expected):
            came = f"{len(got)} values" if isinstance(got, (tuple, list)) else "one"
            came = "None" if got is None else came
            return f"returned {came}; expected {', '.join(self.returns)}"
        named = zip(self.returns, got, expected, strict=True)
        complaints = (compare(*of_one, self.tolerance) for of_one in named)
        return next(filter(None, complaints), None)


@dataclasses.dataclass(frozen=True)
class Assignment:
    """Questions that are handed out and graded together.

    Attributes:
        name: of its master notebook: "a1".
        title: a few words.
        questions: the questions, in order.
        given: Python source of the functions that the hand-out itself gives.
        seconds: time limit for the notebook's own cells.
        memory: limit in bytes for all its processes together.
    """

    name: str
    title: str
    questions: tuple[Question, ...]
    given: str = ""
    seconds: float = 4
    memory: int = 1 << 30

    def functions(self) -> dict[str, Any]:
        """Return what `given` defines, by name."""
        namespace: dict[str, Any] = {}
        exec(self.given, namespace)
        return namespace

    def check(
        self, name: str, function: Callable[..., Any], seed: int | None = None
    ) -> None:
        """Call a function with every case of one question, in this process.

        Args:
            name: name of the question.
            function: what the student wrote.
            seed: seed of the cases; by default one that nobody knows.

        Raises:
            AssertionError: what is wrong with the first case that fails.
        """
        check_choice("name", name, [question.name for question in self.questions])
        question = next(q for q in self.questions if q.name == name)
        given = self.functions()
        for case in question.cases(np.random.default_rng(seed)):
            got = function(**fill_in(copy_arrays(case.arguments), given))
            complaint = question.complain(case.arguments, got, given)
            assert complaint is None, f"{case.name}: {complaint}"


def fill_in(value: Any, given: dict[str, Any]) -> Any:
    """Replace each `Given` by its function, in tuples and dicts as well."""
    if isinstance(value, Given):
        return given[value.name]
    if isinstance(value, (tuple, list)):
        return type(value)(fill_in(part, given) for part in value)
    if isinstance(value, dict):
        return {key: fill_in(part, given) for key, part in value.items()}
    return value


def copy_arrays(value: Any) -> Any:
    """Copy all arrays in `value`, in tuples and dicts as well."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, (tuple, list)) and not isinstance(value, Given):
        return type(value)(copy_arrays(part) for part in value)
    if isinstance(value, dict):
        return {key: copy_arrays(part) for key, part in value.items()}
    return value


def test_case(
    points: Any = None, hidden: bool = False, **messages: Any
) -> Callable[[Any], Any]:
    """Mark a public test, as otter-grader's decorator of that name does."""

    def mark(function):
        function.is_test_case = True
        return function

    return mark


vars(test_case)["__test__"] = False  # pytest would take it for a test


class Grader:
    """Runs the public tests of a hand-out on what the notebook defines.

    Args:
        folder: where the tests are: `q1.py` and so on.
    """

    def __init__(self, folder: str | Path = "tests") -> None:
        self.folder = Path(folder)
        self.names = sorted(path.stem for path in self.folder.glob("q*.py"))

    def check(self, question: str) -> bool:
        """Run the public tests of one question and print what each found.

        Args:
            question: name of the question: "q1".

        Returns:
            whether all passed.

        Raises:
            ValueError: there is no such question.
        """
        check_choice("question", question, self.names)
        defined = sys._getframe(1).f_globals  # of the notebook
        return self._run(question, defined)

    def check_all(self) -> bool:
        """Run the public tests of every question and return whether all passed."""
        defined = sys._getframe(1).f_globals  # of the notebook
        return all([self._run(question, defined) for question in self.names])

    def _run(self, question, defined):
        text = (self.folder / f"{question}.py").read_text(encoding="utf-8")
        namespace: dict[str, Any] = {}
        exec(compile(text, f"{question}.py", "exec"), namespace)
        tests = [f for f in namespace.values() if hasattr(f, "is_test_case")]
        passed = [self._run_one(test, defined) for test in tests]
        verdict = "all passed" if all(passed) else "not yet"
        print(f"{question}: {sum(passed)} of {len(passed)} public checks, {verdict}.")
        return all(passed)

    def _run_one(self, test, defined):
        name = test.__name__.removeprefix("test_").replace("_", " ")
        wanted = list(inspect.signature(test).parameters)
        try:
            missing = [w for w in wanted if defined.get(w, ...) is ...]
            assert not missing, f"{missing[0]} is not there yet" if missing else ""
            test(**{w: defined[w] for w in wanted})
        except Exception as error:  # a student's code may fail in any way
            kind = "" if isinstance(error, AssertionError) else type(error).__name__
            says = ": ".join(filter(None, [kind, str(error)]))
            if "NoneType" in says:
                says += " (a function returned None: is its answer still missing?)"
            print(f"  ✗ {name}: {says}")
            return False
        print(f"  ✓ {name}")
        return True
