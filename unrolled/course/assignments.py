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
from unrolled.course.answers import compare, printable


class Given(NamedTuple):
    """A placeholder, among a case's arguments, for a function that the grader gives.

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
        returns: names of what it returns, one or several, for messages; a last name
            that begins with `*` stands for any number of values.
        cases: function of a `numpy.random.Generator` that returns a list of `Case`; the
            points of all cases are the question's.
        reference: the right function, with the same parameters.
        tolerance: as in `unrolled.course.answers.expect_close`.
        judge: used in place of `reference` if more than one answer is right: function
            of a case's arguments and of the result that returns what is wrong in words,
            or None if it is right. The words must not give a right value away.
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
        *,
        tell: bool = False,
    ) -> str | None:
        """Say in words what is wrong with the result of a case; None if it is right.

        Args:
            arguments: the case's arguments, as they were before the call.
            got: what the function returned.
            given: the functions for which `Given` stands, by name.
            tell: whether the words may show what was expected. A grader's must not:
                students would copy the numbers, and hand in again.
        """
        if self.judge is not None:
            return self.judge(arguments, got)
        assert self.reference is not None, f"{self.name} has no reference and no judge"
        expected = self.reference(**fill_in(arguments, given or {}))
        if len(self.returns) == 1 and not self.returns[0].startswith("*"):
            return compare(self.returns[0], got, expected, self.tolerance, tell=tell)
        names = self._names(len(expected))
        if isinstance(got, np.ndarray) and got.ndim:
            got = list(got) if len(got) == len(names) else got
        if not isinstance(got, (tuple, list)) or len(got) != len(names):
            came = f"{len(got)} values" if isinstance(got, (tuple, list)) else "one"
            came = "None" if got is None else came
            return f"returned {came}; expected {', '.join(names)}"
        complaints = (
            compare(name, value, right, self.tolerance, tell=tell)
            for name, value, right in zip(names, got, expected, strict=True)
        )
        return next(filter(None, complaints), None)

    def _names(self, count):
        """Names of `count` values: `returns`, its last one as often as needed."""
        *names, last = self.returns
        if not last.startswith("*"):
            return self.returns
        return [*names, *(f"{last[1:]}[{k}]" for k in range(count - len(names)))]


@dataclasses.dataclass(frozen=True)
class Assignment:
    """Questions that are handed out and graded together.

    Attributes:
        name: of its master notebook: "a1".
        title: a few words.
        questions: the questions, in order.
        given: Python source of the functions for which `Given` stands. What the
            hand-out defines itself could be called without looking at the argument.
        seconds: time limit for the notebook's own cells.
        memory: limit in bytes for all its processes together.
        imports: modules that a grader imports before the notebook's time begins, as
            that takes longer where the machine is busy; NumPy always is.
    """

    name: str
    title: str
    questions: tuple[Question, ...]
    given: str = ""
    seconds: float = 4
    memory: int = 1 << 30
    imports: tuple[str, ...] = ("matplotlib.pyplot",)

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
            complaint = question.complain(case.arguments, got, given, tell=True)
            assert complaint is None, f"{case.name}: {complaint}"


def fill_in(value: Any, given: dict[str, Any]) -> Any:
    """Replace each `Given` by its function, in tuples and dicts as well."""
    if isinstance(value, Given):
        return given[value.name]
    if isinstance(value, (tuple, list)):
        return _sequence(value, (fill_in(part, given) for part in value))
    if isinstance(value, dict):
        return {key: fill_in(part, given) for key, part in value.items()}
    return value


def copy_arrays(value: Any) -> Any:
    """Copy all arrays in `value`, in tuples and dicts as well."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, (tuple, list)) and not isinstance(value, Given):
        return _sequence(value, (copy_arrays(part) for part in value))
    if isinstance(value, dict):
        return {key: copy_arrays(part) for key, part in value.items()}
    return value


def _sequence(like, parts):
    """A tuple or list of `parts`; a named tuple becomes a plain one."""
    return list(parts) if isinstance(like, list) else tuple(parts)


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
        name: of the assignment, as in `Grader("a1")`.
        folder: where the tests are: `q1.py` and so on.

    Raises:
        ValueError: `name` is not a word.
    """

    def __init__(self, name: str, folder: str | Path = "tests") -> None:
        if not isinstance(name, str):
            raise ValueError(
                f"name is {name!r}; expected the assignment's name, such as 'a1'"
            )
        self.name = name
        self.folder = Path(folder)

    @property
    def names(self) -> list[str]:
        """Names of the questions that have tests, in order."""
        names = [path.stem for path in self.folder.glob("q*.py")]
        return sorted(names, key=lambda name: (len(name), name))

    def check(self, question: str) -> bool:
        """Run the public tests of one question and print what each found.

        Args:
            question: name of the question: "q1".

        Returns:
            whether all passed.

        Raises:
            ValueError: there is no such question, the folder of tests is not there, or
                its tests are another assignment's.
        """
        names = self._find_tests()
        check_choice("question", question, names)
        defined = sys._getframe(1).f_globals  # of the notebook
        return self._run(question, defined)

    def check_all(self) -> bool:
        """Run the public tests of every question.

        Returns:
            whether all passed.

        Raises:
            ValueError: as `check`.
        """
        names = self._find_tests()
        defined = sys._getframe(1).f_globals  # of the notebook
        return all([self._run(question, defined) for question in names])

    def _find_tests(self):
        """Names of the questions; without any, nothing could fail."""
        if not (names := self.names):
            raise ValueError(
                f"folder {str(self.folder)!r} holds no checks; expected q1.py and so "
                f"on in {str(self.folder.absolute())!r}. Open the notebook in the "
                f"hand-out's folder, where {self.name}.zip was unpacked"
            )
        return names

    def _run(self, question, defined):
        text = (self.folder / f"{question}.py").read_text(encoding="utf-8")
        namespace: dict[str, Any] = {}
        exec(compile(text, f"{question}.py", "exec"), namespace)
        # `tools.grading.assign` writes whose tests they are; otter's own do not say.
        whose = namespace.get("assignment", self.name)
        if whose != self.name:
            raise ValueError(
                f"folder {str(self.folder)!r} holds the checks of {whose}; expected "
                f"those of {self.name}"
            )
        tests = [f for f in namespace.values() if hasattr(f, "is_test_case")]
        if not tests:
            raise ValueError(f"{question}.py in {str(self.folder)!r} holds no checks")
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
            says = ": ".join(filter(None, [kind, printable(error, 1000)]))
            if "NoneType" in says:
                says += " (a function returned None: is its answer still missing?)"
            print(f"  ✗ {name}: {says}")
            return False
        print(f"  ✓ {name}")
        return True
