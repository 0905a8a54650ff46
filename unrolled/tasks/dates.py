"""Dates as people write them, to be written as 1997-09-24: a task with exact answers.

A text is read character by character and another one is written, so that a network
needs an encoder and a decoder. Seven lines of Python do the same without a mistake:
the task is there to watch networks, not because anyone needs one for it.
"""

import datetime
import functools
import string
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unrolled.checks import check_generator, check_integer, check_labels
from unrolled.tasks.synthetic import Task, one_hot, run_predictors
from unrolled.types import Array

READ = " ,./;" + string.digits + string.ascii_lowercase  # a blank fills up
WRITTEN = string.digits + "-"
BETWEEN = "; "  # two dates of a line
STEPS = len("1997-09-24")
FIRST, LAST = datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)
DAYS = (LAST - FIRST).days + 1
MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
WEEKDAYS = (
    *("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
)

#: The forms in which a date may be written; two names can be cut to three letters.
FORMS = (
    "{d}.{m}.{y}",
    "{m}/{d}/{y}",
    "{month:.3} {d} {y}",
    "{month} {d}, {y}",
    "{d} {month} {y}",
    "{weekday:.3} {d:02} {month:.3} {y}",
    "{weekday}, {d} {month} {y}",
)
_PLACES = {"y": range(4), "m": (5, 6), "month": (5, 6), "d": (8, 9)}  # in the answer


@dataclass(frozen=True, eq=False)
class DateTask(Task):
    """`Task` that also keeps what was written, in what form, of which day.

    Attributes:
        texts: what is read, `n` strings.
        answers: what is to be written, `n` strings.
        forms: places in `FORMS`, integers `(n, count)`.
        days: the dates as numbers of days since 1900-01-01, integers `(n, count)`.
    """

    texts: list[str]
    answers: list[str]
    forms: Array
    days: Array

    def source(self) -> Array:
        """Find where the year, the month and the day stand in what is read.

        Returns:
            bool `(n, 10 count, steps)`: for each character to be written, the places of
            the year, month or day that it belongs to; none for "-".
        """
        found = np.zeros((*self.y.shape, self.x.shape[1]), bool)
        for line, text in enumerate(self.texts):
            at = found.shape[-1] - len(text)
            for k, pair in enumerate(
                zip(self.days[line], self.forms[line], strict=True)
            ):
                for piece, field in _pieces(*pair):
                    for place in _PLACES.get(field, ()):
                        found[line, STEPS * k + place, at : at + len(piece)] = True
                    at += len(piece)
                at += len(BETWEEN)
        return found


def dates(
    n: int,
    rng: np.random.Generator,
    *,
    count: int = 1,
    forms: Sequence[int] = range(len(FORMS)),
) -> DateTask:
    """Write dates in ISO form, each read in one of several forms.

    Days are drawn from 1900 to 2099, all equally likely, and so are the forms. What is
    read stands at the end of a line with blanks before it, all lines being as long as
    the longest that there can be.

    Args:
        n: number of lines, at least 1.
        rng: draws them.
        count: dates per line, at least 1. Between them stands "; "; they are written
            one after the other with nothing in between.
        forms: places in `FORMS` of those that may be used.

    Returns:
        `DateTask` with one-hot `x` `(n, steps, 41)` in the order of `READ`, and `y`
        `(n, 10 count)`, places in `WRITTEN`; 11 classes. The baselines do not read:
        the first knows at which place a character stands, the second also the right
        one before it.

    Raises:
        ValueError: a number is too small or not an integer, `forms` are not places in
            `FORMS`, or `rng` is not a generator.

    Example:
        >>> import numpy as np
        >>> from unrolled.tasks import dates
        >>> task = dates(1000, np.random.default_rng(2))
        >>> task.x.shape, task.y.shape, task.classes
        ((1000, 28, 41), (1000, 10), 11)
        >>> for text, answer in zip(task.texts[:3], task.answers[:3]):
        ...     print(f"{text:>15} → {answer}")
        thu 09 may 1963 → 1963-05-09
              6/24/2038 → 2038-06-24
              12.6.1931 → 1931-06-12
    """
    n = check_integer("n", n, 1)
    count = check_integer("count", count, 1)
    allowed = check_labels("forms", forms, len(FORMS))
    if allowed.ndim != 1 or not allowed.size:
        raise ValueError(
            f"forms is {forms!r}; expected places in FORMS, such as [0, 1]"
        )
    rng = check_generator("rng", rng)
    chosen = allowed[rng.integers(len(allowed), size=(n, count))]
    days = rng.integers(DAYS, size=(n, count))
    texts = [
        BETWEEN.join(write_date(*pair) for pair in zip(*line, strict=True))
        for line in zip(days, chosen, strict=True)
    ]
    answers = ["".join(map(iso_date, line)) for line in days]
    longest = max(map(_longest, allowed))
    x = encode(texts, count * longest + (count - 1) * len(BETWEEN))
    y = np.array([[WRITTEN.index(c) for c in answer] for answer in answers])
    scores = run_predictors(_do_not_read(y), y)
    return DateTask(
        "dates", x, y, "cross-entropy", len(WRITTEN), *scores,
        texts, answers, chosen, days,
    )  # fmt: skip


def write_date(day: int, form: int) -> str:
    """Write a date in one of the forms.

    Args:
        day: days since 1900-01-01.
        form: place in `FORMS`.

    Raises:
        ValueError: a number is not an integer, below 0, or too large.

    Example:
        >>> from unrolled.tasks.dates import FORMS, write_date
        >>> [write_date(35_695, form) for form in (0, 1, 6)]
        ['24.9.1997', '9/24/1997', 'wednesday, 24 september 1997']
    """
    return "".join(piece for piece, _ in _pieces(day, form))


def iso_date(day: int) -> str:
    """Write a date as year, month, day.

    Args:
        day: days since 1900-01-01.

    Raises:
        ValueError: as `write_date`.
    """
    return _as_date(day).isoformat()


def encode(texts: Sequence[str], steps: int) -> Array:
    """Turn texts into what a network reads, each at the end of its line.

    Args:
        texts: `n` strings of characters in `READ`.
        steps: length of the lines.

    Returns:
        one-hot, float32 `(n, steps, 41)`.

    Raises:
        ValueError: not strings, one that is too long, or a character that is not in
            `READ`.
    """
    several = isinstance(texts, list | tuple) and len(texts) > 0
    if not several or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"texts is {texts!r:.60}; expected a list of strings")
    steps = check_integer("steps", steps, 1)
    for text in texts:
        if len(text) > steps or not set(text) <= set(READ):
            raise ValueError(
                f"texts has {text!r}; expected at most {steps} characters, each one of "
                f"{READ!r}"
            )
    lines = [[READ.index(c) for c in text.rjust(steps)] for text in texts]
    return one_hot(np.array(lines), len(READ))


def decode(written: npt.ArrayLike) -> list[str]:
    """Turn what a network wrote into texts.

    Args:
        written: places in `WRITTEN`, integers `(n, steps)`.

    Raises:
        ValueError: other numbers, or another shape.
    """
    written = check_labels("written", written, len(WRITTEN))
    if written.ndim != 2:
        raise ValueError(f"written has shape {written.shape}; expected (n, steps)")
    return ["".join(WRITTEN[c] for c in line) for line in written]


def _pieces(day, form):
    """Yield a date in a form in pieces, each with its field; literals have none."""
    date, form = _as_date(day), check_labels("form", form, len(FORMS), ()).item()
    named = {"month": MONTHS[date.month - 1], "weekday": WEEKDAYS[date.weekday()]}
    fields = {"d": date.day, "m": date.month, "y": date.year} | named
    for literal, field, how, _ in string.Formatter().parse(FORMS[form]):
        yield literal, None
        if field is not None:  # a literal may stand last
            yield format(fields[field], how or ""), field


def _as_date(day):
    days = check_labels("day", day, DAYS, ()).item()
    return FIRST + datetime.timedelta(days=days)


def _do_not_read(y):
    """Shares of the characters at each place, and after each right one before it."""
    before = np.zeros_like(y)
    before[:, 1:] = y[:, :-1] + 1
    counts = np.zeros((y.shape[1], len(WRITTEN) + 1, len(WRITTEN)))
    places = np.broadcast_to(np.arange(y.shape[1]), y.shape)
    np.add.at(counts, (places, before, y), 1)
    place = counts.sum(axis=1)  # (steps, classes)
    after = counts[places, before]  # (n, steps, classes)
    return {
        "know the place": place / place.sum(axis=-1, keepdims=True),
        "know the character before": after / after.sum(axis=-1, keepdims=True),
    }


@functools.cache
def _longest(form):
    """Length of the longest date in a form: a year has all names and numbers."""
    return max(len(write_date(day, form)) for day in range(365))
