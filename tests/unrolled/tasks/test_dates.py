"""Dates: right by Python's own parser, laid out as promised, refused when wrong."""

import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.tasks import dates
from unrolled.tasks.dates import (
    DAYS,
    MONTHS,
    READ,
    STEPS,
    WEEKDAYS,
    WRITTEN,
    decode,
    encode,
    iso_date,
    write_date,
)

# How Python's parser writes the forms, in their order.
PATTERNS = (
    *("%d.%m.%Y", "%m/%d/%Y", "%b %d %Y", "%B %d, %Y", "%d %B %Y"),
    *("%a %d %b %Y", "%A, %d %B %Y"),
)
SE = 5  # standard errors: a false alarm for two million seeds
any_day = st.integers(0, DAYS - 1)


def rng(seed=0):
    return np.random.default_rng(seed)


def lines(task):
    """The lines as they stand in `x`, which is checked to be one-hot."""
    assert set(np.unique(task.x)) <= {0, 1} and (task.x.sum(axis=2) == 1).all()
    return ["".join(READ[c] for c in line) for line in task.x.argmax(axis=2)]


def read(text, pattern):
    """The date that Python's parser reads; None if the pattern is another one."""
    try:
        return datetime.datetime.strptime(text, pattern).date().isoformat()
    except ValueError:
        return None


@settings(max_examples=40)
@given(any_day)
def test_each_form_has_one_meaning(day):
    """Python's parser reads it, and by no pattern does it read another date."""
    for form, own in enumerate(PATTERNS):
        text = write_date(day, form)
        assert read(text, own) == iso_date(day)
        assert {read(text, other) for other in PATTERNS} <= {iso_date(day), None}


def test_names_are_those_of_the_calendar():
    assert len(MONTHS) == 12 and len(WEEKDAYS) == 7
    assert len({name[:3] for name in MONTHS + WEEKDAYS}) == 19
    assert (iso_date(0), iso_date(DAYS - 1)) == ("1900-01-01", "2099-12-31")


@pytest.mark.parametrize("count", [1, 3])
@settings(max_examples=15)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 20))
def test_lines_and_answers(count, seed, n):
    task, again = (dates(n, rng(seed), count=count) for _ in range(2))
    assert task.x.tobytes() == again.x.tobytes() and task.texts == again.texts
    assert task.x.dtype == np.float32 and task.y.dtype == np.int64
    assert task.x.shape == (n, 28 * count + 2 * (count - 1), len(READ))
    assert task.y.shape == (n, STEPS * count) and task.classes == len(WRITTEN)
    assert [line.lstrip(" ") for line in lines(task)] == task.texts
    assert decode(task.y) == task.answers
    for text, answer, forms, days in zip(
        task.texts, task.answers, task.forms, task.days, strict=True
    ):
        assert text == "; ".join(map(write_date, days, forms))
        assert answer == "".join(map(iso_date, days))


def test_only_the_forms_that_were_asked_for():
    task = dates(300, rng(), forms=[1, 4])
    assert set(task.forms.ravel()) == {1, 4}
    assert task.x.shape[1] == len("24 september 1997")
    assert dates(300, rng(), forms=[0, 1]).x.shape[1] == len("24.12.1997")


def test_days_and_forms_are_equally_likely():
    n = 5000
    task = dates(n, rng(1))
    share = np.bincount(task.forms[:, 0]) / n
    assert abs(share - 1 / 7).max() < SE * np.sqrt(6 / 49 / n)
    assert abs(task.days.mean() / DAYS - 0.5) < SE / np.sqrt(12 * n)
    assert task.days.min() < 100 and task.days.max() > DAYS - 100


def test_the_source_is_what_python_s_parser_would_take():
    """The marked characters are year, month and day, and nothing else."""
    task = dates(60, rng(3), count=2)
    steps = task.x.shape[1]
    for text, answer, marks in zip(
        task.texts, task.answers, task.source(), strict=True
    ):
        line = np.array(list(text.rjust(steps)))
        parts = ["".join(line[mark]) for mark in marks]
        for k in (0, STEPS):
            year, month, day = answer[k : k + STEPS].split("-")
            assert parts[k : k + 4] == [year] * 4
            assert parts[k + 4] == parts[k + 7] == ""
            assert parts[k + 5] == parts[k + 6] and parts[k + 8] == parts[k + 9]
            name = MONTHS[int(month) - 1]
            assert parts[k + 5] in {str(int(month)), name, name[:3]}
            assert int(parts[k + 8]) == int(day)
        # The second date is marked behind the first one.
        assert marks[:STEPS].any(axis=0).nonzero()[0].max() < text_of_second(
            text, steps
        )


def text_of_second(text, steps):
    return steps - len(text) + text.index("; ") + 2


def test_baselines_are_frequencies():
    """Of the place alone: by the calendar, up to the spread of a sample."""
    n = 5000
    task = dates(n, rng(4))
    place, after = task.baselines.values()
    calendar = [iso_date(day) for day in range(DAYS)]
    entropy = 0.0
    for column in zip(*calendar, strict=True):
        share = np.unique(column, return_counts=True)[1] / DAYS
        entropy -= (share * np.log(share)).sum() / STEPS
    assert abs(place - entropy) < 0.02
    assert after < place
    best, better = task.accuracies.values()
    most = [max(map(c.count, set(c))) / n for c in zip(*task.answers, strict=True)]
    assert best == pytest.approx(np.mean(most)) and better > best
    assert task.chance == best


def test_the_second_baseline_knows_the_right_character_before():
    """In a line whose characters follow from the one before, it is always right."""
    task = dates(1, rng(5))
    assert task.baselines == {"know the place": 0, "know the character before": 0}
    assert set(task.accuracies.values()) == {1}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"n": 0}, "n is 0; expected an integer >= 1"),
        ({"count": 0}, "count is 0; expected an integer >= 1"),
        ({"count": 1.5}, "count is 1.5; expected an integer"),
        ({"forms": []}, "forms"),
        ({"forms": 3}, "forms is 3; expected places in FORMS"),
        ({"forms": [7]}, "forms runs from 7 to 7; expected 0 to 6"),
        ({"forms": [0.5]}, "forms holds fractions"),
        ({"rng": 3}, "rng is 3; expected a numpy.random.Generator"),
    ],
)
def test_refuses(change, says):
    arguments = {"n": 4, "rng": rng()} | change
    with pytest.raises(ValueError, match=says):
        dates(**arguments)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: write_date(DAYS, 0), "day runs from"),
        (lambda: write_date(-1, 0), "day runs from"),
        (lambda: write_date(0, 7), "form runs from"),
        (lambda: write_date(0, [0, 1]), "form has shape"),
        (lambda: iso_date([0, 1]), "day has shape"),
        (lambda: iso_date(0.5), "day holds fractions"),
        (lambda: encode(["1.1.1900"], 0), "steps is 0"),
        (lambda: encode(["1.1.1900"], 7), "texts has '1.1.1900'; expected at most 7"),
        (lambda: encode(["May 2 1933"], 28), "texts has 'May 2 1933'; expected"),
        (lambda: encode("1.1.1900", 28), "expected a list of strings"),
        (lambda: encode([1900], 28), "expected a list of strings"),
        (lambda: encode([], 28), "expected a list of strings"),
        (lambda: encode(None, 28), "expected a list of strings"),
        (lambda: decode([1, 9]), "written has shape"),
        (lambda: decode([[11]]), "written runs from"),
    ],
)
def test_what_is_no_date_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_a_text_of_one_s_own():
    x = encode(["may 2 1933", ""], 12)
    assert x.shape == (2, 12, len(READ))
    assert [READ[c] for c in x[0].argmax(axis=1)] == [*"  may 2 1933"]
    assert (x[1].argmax(axis=1) == READ.index(" ")).all()
