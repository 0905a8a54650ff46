"""What a page says about its run: guarded numbers, and sentences written from it.

A page has three ways to vouch for what it says. An `assert` is a theorem: exact, or
exact up to rounding, and true for every seed. A `guard` is statistical: its bound lies
five standard deviations or more from the mean over many base seeds. A sentence that
`say` shows is written from this run's numbers, so it is true whatever they are.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from decimal import ROUND_CEILING, Context, Decimal
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from unrolled.checks import read_array

# Numbers in Markdown as Python writes them; and first what is to stay as it is: code,
# the targets of links, formulas.
NUMBERS = re.compile(
    r"(?P<code>`+)(?:.|\n)*?(?<!`)(?P=code)(?!`)|\]\([^)]*\)|\$[^$\n]*\$"
    r"|(?<![\w.)\]–−-])(?P<sign>-?)(?P<digits>\d[\d,]*(?:\.\d+)?)(?:e(?P<power>[+-]\d+))?"
    r"(?!\w)"
)
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
DISTANCE = 5  # standard deviations between a guard's bound and the mean over base seeds


def guard(
    what: str,
    value: npt.ArrayLike,
    *,
    above: float | None = None,
    below: float | None = None,
    spread: Sequence[float],
) -> None:
    """Stop the page if a number is on the side of a bound where chance rarely puts it.

    At five standard deviations a fresh base seed fails with a chance of about 1 in
    20,000, if the number is roughly normal (Student's predictive distribution for the
    twenty base seeds that `make seeds` runs). Up to twenty guards of a page then fail
    together less often than once in 1,000 seeds.

    Args:
        what: what is guarded, in words, for the message.
        value: this run's number; if it varies by factors, its logarithm.
        above: the bound that `value` must exceed, or None.
        below: the bound that it must stay below, or None; at least one is needed.
        spread: mean and standard deviation of `value` over base seeds, as `make seeds`
            prints them.

    Raises:
        AssertionError: the value is NaN or on the wrong side of a bound.
        ValueError: `value` is not one number, there is no bound, or a bound lies within
            five standard deviations of the mean.
    """
    number = read_array(f"value of {what!r}", value)
    if number.size != 1 or number.dtype.kind == "b":
        raise ValueError(f"value of {what!r} is {value!r}; expected one number")
    number = number.item()
    try:
        mean, deviation = map(float, spread)
    except (TypeError, ValueError):
        raise ValueError(
            f"spread of {what!r} is {spread!r}; expected mean and standard deviation"
        ) from None
    if not (np.isfinite(mean) and 0 < deviation < np.inf):
        raise ValueError(
            f"spread of {what!r} is {spread!r}; expected finite, the second above 0"
        )
    if above is None and below is None:
        raise ValueError(f"{what!r} has no bound; expected above= or below=")
    for word, bound, sign in (("above", above, 1), ("below", below, -1)):
        if bound is None:
            continue
        away = sign * (mean - bound) / deviation
        if not away >= DISTANCE:
            raise ValueError(
                f"{word} of {what!r} is {bound:.4g}, {away:.1f} standard deviations "
                f"from the mean {mean:.4g}; expected {DISTANCE} or more"
            )
        if not sign * (number - bound) > 0:
            raise AssertionError(
                f"{what}: {number:.4g} is not {word} {bound:.4g}. Over many base seeds "
                f"it is {mean:.4g} ± {deviation:.2g}; {away:.0f} standard deviations "
                f"lie between."
            )


def say(*paragraphs: str | Sequence[str]) -> None:
    """Show Markdown that was written from this run's numbers; print without IPython.

    Args:
        *paragraphs: Markdown, such as f-strings. A list is one paragraph of several
            items, one per line.
    """
    text = as_markdown(paragraphs)
    if in_notebook():
        from IPython.display import Markdown, display

        display(Markdown(text))
    else:
        print(text)


def in_short() -> Callable[..., None]:
    """Reserve a place, near the top of a page, for what the page finds.

    Returns:
        a function that takes paragraphs as `say` does, and shows them in that place: to
        be called where the last of the numbers has been measured. Without IPython it
        prints them.

    Example:
        >>> from unrolled.course import in_short
        >>> summary = in_short()
        >>> summary("The network remembers *nothing*.")
        **In short.** The network remembers *nothing*.
    """
    place: Any = None
    if in_notebook():
        from IPython.display import Markdown, display

        waiting = "**In short.** *What this page finds stands here once it has run.*"
        place = display(Markdown(waiting), display_id=True)

    def fill(*paragraphs: str | Sequence[str]) -> None:
        text = "**In short.** " + as_markdown(paragraphs)
        if place is None:
            print(text)
        else:
            place.update(Markdown(text))

    return fill


def as_markdown(paragraphs: Sequence[str | Sequence[str]]) -> str:
    """Join paragraphs; one that is a list becomes a list of items.

    Numbers get a minus sign instead of a hyphen, and powers of ten instead of an "e":
    as formulas, like those of the text around them.
    """
    text = "\n\n".join(
        p if isinstance(p, str) else "\n".join(f"* {item}" for item in p)
        for p in paragraphs
    )
    return NUMBERS.sub(partial(typeset_number, formula=True), text)


def typeset(text: str) -> str:
    """Write the numbers of a text as a book does, see `typeset_number`."""
    return NUMBERS.sub(typeset_number, text)


def typeset_number(found: re.Match[str], formula: bool = False) -> str:
    """Write a number as a book does: −0.5 for -0.5, 3·10⁻⁸ for 3e-08, 0.0 for -0.0.

    Args:
        found: what `NUMBERS` matches.
        formula: whether a power of ten becomes a formula of Markdown.
    """
    if found["digits"] is None:
        return found[0]
    number = minus(found["sign"] + found["digits"])
    if found["power"] is None:
        return number
    if not float(found["digits"].replace(",", "")):
        return "0"
    power = str(int(found["power"]))
    if formula:
        factor = "" if number == "1" else number.replace("−", "-") + r" \cdot "
        return f"${{{factor}10^{{{power}}}}}$"  # braces: no line break inside
    ten = f"10{power.translate(RAISED)}"
    return ten if number == "1" else f"{number}·{ten}"


def minus(number: float | str) -> str:
    """Write a number with a minus sign instead of a hyphen, and 0 without any."""
    text = number if isinstance(number, str) else f"{number:g}"
    is_zero = not float(text.replace(",", ""))
    return text.lstrip("-") if is_zero else text.replace("-", "−")


def at_most(number: float, digits: int = 1) -> str:
    """Write a number rounded up, for a sentence that says "at most".

    Args:
        number: finite, such as the largest of some differences.
        digits: how many of them to keep.

    Raises:
        ValueError: `number` is NaN or infinite.

    Example:
        >>> from unrolled.course import at_most
        >>> at_most(5.2e-7), at_most(5.21e-7, digits=2)
        ('6e-07', '5.3e-07')
    """
    if not np.isfinite(number):
        raise ValueError(f"number is {number}; expected a finite number")
    up = Context(prec=digits, rounding=ROUND_CEILING)
    shortest = Decimal(str(float(number)))  # in binary, 1e-15 is a little more
    return f"{float(up.create_decimal(shortest)):.{digits - 1}e}"


def as_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Write a table in Markdown.

    Args:
        header: words over the columns.
        rows: a cell for each column; a `|` in one is escaped.

    Example:
        >>> from unrolled.course import as_table
        >>> print(as_table(["cell", "gates"], [["LSTM", 3], ["GRU", 2]]))
        | cell | gates |
        | --- | --- |
        | LSTM | 3 |
        | GRU | 2 |
    """
    lines = [header, ["---"] * len(header), *rows]
    cells = [[str(cell).replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def in_notebook() -> bool:
    """Tell whether IPython runs this code; a script may do without it."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return get_ipython() is not None


def how_many(flags: npt.ArrayLike, of: int | None = None) -> str:
    """Say in words how many flags are true: "3 of 5", "none of 5" or "all 5".

    Args:
        flags: one truth value for each run, any shape; or the number of true ones.
        of: how many runs there were, if `flags` is a number.

    Raises:
        ValueError: `flags` are no numbers, or NaN or masked entries are among them.

    Example:
        >>> from unrolled.course import how_many
        >>> how_many([True, False, True]), how_many(0, of=5)
        ('2 of 3', 'none of 5')
    """
    flags = read_array("flags", flags)
    if not np.isfinite(flags).all():
        raise ValueError("flags holds NaN; expected truth values")
    total = flags.size if of is None else of
    k = int(flags.sum())
    if k == 0:
        return f"none of {total}"
    return f"all {total}" if k == total else f"{k} of {total}"
