"""The claims ledger: pages record what they measured, page 6.4 collects it.

The words of a claim, its conditions and their margins are in `claims.toml`, written
before the runs that confirm them. A page that tests a claim calls `record_claim`, which
shows each condition's outcome and the verdict, and leaves the record in the cell's
output; `read_ledger` collects the records from executed notebooks.
"""

import csv
import functools
import json
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unrolled.course.measure import Effect, base_seed, judge, measure_effect
from unrolled.course.results import as_table, in_notebook, minus, typeset

MIME = "application/vnd.unrolled.claim+json"
OUTCOMES = ("holds", "not shown", "shown false")
VERDICTS = ("supported", "conditional", "not shown", "refuted", "not measured")
MARGINS = ("above", "below", "within")
RISK = 0.05  # that any outcome of a claim is wrong by chance
SYMBOL = re.compile(r"(?<![\w`])([d∂]?[A-Za-z])_([A-Za-z0-9])(?!\w)")  # such as c_t

COLUMNS = (
    *("name", "claim", "source", "verdict", "page", "figure", "untested", "base_seed"),
    *("condition", "outcome", "metric", "effect", "low", "high", "level", "kind"),
    *("above", "below", "within", "ratio", "n", "unit", "budget", "data"),
    *("exploratory", "recorded"),
)

# Columns of the table that `tools.experiments.replicate --record` writes.
CONFIRMED = (
    *("claim", "verdict", "verdicts", "condition", "outcome", "effect", "low", "high"),
    *("level", "kind", "n", "base_seeds"),
)


@functools.cache
def load_claims() -> dict[str, dict[str, Any]]:
    """Load the claims.

    Returns:
        for each claim, by name, a dict with `claim` and `source`, and either `page`,
        `figure`, the heading to look below, and `conditions`, or `untested`, the reason
        why it is not; perhaps `same_networks`, names of claims that rest on the same
        networks. A condition is a dict with `name`, `metric`, `unit` (of
        replication), `data`, perhaps `budget`, and either a margin (`above`, `below` or
        `within`) or `theorem`, which says whether it is proven or disproved, for every
        seed; `ratio` marks an effect that is averaged in logarithms, `proportion` a
        mean between 0 and 1, `recorded` an effect of a recorded run, which no base seed
        changes, and `exploratory` one that was chosen after looking.
    """
    text = Path(__file__).with_name("claims.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def verdict(outcomes: Iterable[str]) -> str:
    """Judge a claim by the outcomes of its conditions.

    Args:
        outcomes: "holds", "not shown" or "shown false" for each condition.

    Returns:
        "supported" if all hold; "conditional" if some hold and some are shown false;
        "refuted" if some are shown false and none holds; otherwise "not shown".

    Raises:
        ValueError: an outcome is another word, or there is none.

    Example:
        >>> from unrolled.course.ledger import verdict
        >>> verdict(["holds", "shown false", "not shown"])
        'conditional'
    """
    found = [outcomes] if isinstance(outcomes, str) else list(outcomes)
    if not found or not set(found) <= set(OUTCOMES):
        raise ValueError(f"outcomes is {found!r}; expected some of {OUTCOMES}")
    holds, wrong = "holds" in found, "shown false" in found
    if set(found) == {"holds"}:
        return "supported"
    if wrong:
        return "conditional" if holds else "refuted"
    return "not shown"


def record_claim(
    name: str, measured: dict[str, Any], *, data: str | None = None
) -> dict[str, str]:
    """Show what was found of a claim, and leave it in the output for the ledger.

    The intervals of a claim are widened together (Bonferroni): with k measured
    conditions each is at 1 − 0.05/k, so that a verdict errs by chance at most once in
    twenty times.

    Args:
        name: the claim's name in `claims.toml`.
        measured: for each condition there, by its name, what was measured, in one of
            the forms of `measure_effect`; ratios as they are; for a theorem, whether
            the page finds it so; None where nothing could be measured.
        data: what it was measured on, where the run decides that and the file cannot;
            not of conditions that are recorded.

    Returns:
        dict from each condition to its outcome: "holds", "not shown" or "shown false".

    Raises:
        ValueError: a name that `claims.toml` lacks, other conditions than it lists, or
            a value that `measure_effect` refuses.
    """
    claim = load_claims().get(name, {})
    if "page" not in claim:
        raise ValueError(
            f"name is {name!r}; expected one with a page in unrolled/course/claims.toml"
        )
    listed = {condition["name"]: condition for condition in claim.get("conditions", [])}
    if set(measured) != set(listed):
        raise ValueError(
            f"measured has the conditions {list(measured)}; expected those of {name!r} "
            f"in unrolled/course/claims.toml, {list(listed)}"
        )
    level = 1 - RISK / max(1, sum("theorem" not in c for c in counted(listed.values())))
    conditions = []
    for condition, about in listed.items():
        try:
            found = judge_condition(about, measured[condition], level)
        except ValueError as error:
            raise ValueError(f"condition {condition!r} of {name!r}: {error}") from None
        own = data and not about.get("recorded")
        conditions.append(found | ({"data": data} if own else {}))
    record = {
        "name": name,
        "verdict": verdict(c["outcome"] for c in counted(conditions)),
        "base_seed": base_seed(),
        "conditions": conditions,
    }
    show(record)
    return {condition["name"]: condition["outcome"] for condition in conditions}


def counted(conditions: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the conditions on which a verdict rests: those chosen beforehand."""
    return [condition for condition in conditions if not condition.get("exploratory")]


def judge_condition(about: dict[str, Any], values: Any, level: float) -> dict[str, Any]:
    """Return a condition as `claims.toml` lists it, with what was found of it.

    Args:
        about: the condition.
        values: what was measured, see `record_claim`.
        level: confidence of its interval.

    Raises:
        ValueError: `values` do not suit the condition.
    """
    if "theorem" in about:
        if not isinstance(values, bool | np.bool_) or values != about["theorem"]:
            raise ValueError(
                f"the page finds {values!r} for a theorem; expected {about['theorem']}"
            )
        return about | {
            "outcome": "holds" if values else "shown false",
            "kind": "theorem",
        }
    found = measure(about, values, level)
    n = sum(n if isinstance(n, int) else n[1] for n in found.counts)
    return about | judged(about, found, level) | {"n": n, "counts": found.counts}


def measure(about: dict[str, Any], values: Any, level: float) -> Effect:
    """Return the effect of a condition; without values there is none."""
    if values is None:
        return Effect(np.nan, -np.inf, np.inf, [0], "few")
    return measure_effect(values, level, ratio=about.get("ratio", False))


def judged(about: dict[str, Any], found: Effect, level: float) -> dict[str, Any]:
    """Return what a record says of an effect; an end that there is not is None."""
    endless = found.kind == "few"
    return {
        "outcome": judge(*found[1:3], **margin(about)),
        "effect": None if np.isnan(found.effect) else found.effect,
        "low": None if endless else found.low,
        "high": None if endless else found.high,
        "level": 1.0 if found.kind == "exact" else level,
        "kind": found.kind,
    }


def margin(condition: dict[str, Any]) -> dict[str, Any]:
    """Return the margin of a condition, as `judge` takes it."""
    return {name: condition[name] for name in MARGINS if name in condition}


def describe_margin(condition: dict[str, Any]) -> str:
    """Put the margin of a condition into words."""
    if "theorem" in condition:
        return "always"
    ((word, bound),) = margin(condition).items()
    if word == "within":
        return f"{minus(bound[0])} to {minus(bound[1])}"
    return f"{word} {minus(bound)}"


def size(condition: dict[str, Any]) -> str:
    """Write an effect and its interval, with as many digits as that justifies.

    There are no more than the margin asks for, or four; an end that would read as the
    margin gets one more.
    """
    if condition["kind"] == "theorem":
        return "proven" if condition["outcome"] == "holds" else "disproved"
    effect = condition["effect"]
    if effect is None:
        return "none"
    if condition["kind"] in ("median", "few"):
        return f"{minus(float(f'{effect:.4g}'))} each time"
    low, high = possible(condition)
    if low == high:
        return minus(float(f"{effect:.4g}"))
    if condition.get("ratio") and high > 2 * low:  # perhaps of different magnitudes
        texts = [significant(number) for number in (effect, low, high)]
        return f"{texts[0]} [{texts[1]}, {texts[2]}]"
    digits = max(0, 1 - int(np.floor(np.log10(high - low))))
    bounds = np.ravel([*margin(condition).values()])
    sizes = np.abs(bounds[bounds != 0])
    if sizes.size and digits > 4:  # a hundredth of the margin will do
        digits = min(digits, max(4, 2 - int(np.floor(np.log10(sizes.min())))))
    if np.isin(np.round([low, high], digits), bounds).any():  # on which side is it?
        digits += 1
    form = f".{digits}f" if digits < 7 else ".1e"  # 0.000001, and then 1.0·10⁻⁷
    texts = [typeset(f"{number:{form}}") for number in (effect, low, high)]
    return f"{texts[0]} [{texts[1]}, {texts[2]}]"


def possible(condition: Mapping[str, Any]) -> tuple[float, float]:
    """Return the interval of an effect; that of a proportion ends at 0 and at 1.

    Student's interval knows nothing of such ends.
    """
    low, high = condition["low"], condition["high"]
    if condition["kind"] == "share" or condition.get("proportion"):
        return max(low, 0.0), min(high, 1.0)
    return low, high


def significant(number: float) -> str:
    """Write a number above 0 with two significant digits."""
    rounded = float(f"{number:.2g}")
    return f"{rounded:,.{max(0, 1 - int(np.floor(np.log10(rounded))))}f}"


def in_markdown(text: str) -> str:
    """Write a claim or a metric as Markdown, its symbols as formulas."""
    parts = re.split(r"(`[^`]+`)", text)
    for k in range(0, len(parts), 2):
        parts[k] = SYMBOL.sub(r"$\1_\2$", parts[k])
        parts[k] = re.sub(r"\blog2\b", r"$\\log_2$", parts[k])
    return "".join(parts)


def describe(record: dict[str, Any]) -> str:
    """Write a record as Markdown: the claim, its verdict, a line for each condition.

    Conditions that measure the same stand in one table, below what they measure.
    """
    claims = load_claims()
    tables: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for c in record["conditions"]:
        tables.setdefault((c["metric"], c.get("unit", "")), []).append(c)
    lines = []
    for (metric, unit), conditions in tables.items():
        if conditions[0]["kind"] == "theorem":  # no number, so no table
            lines += [
                f"* By proof: {in_markdown(c['name'])} ({in_markdown(metric)}): "
                f"**{c['outcome']}**."
                for c in conditions
            ]
            lines.append("")
            continue
        numbers = {c.get("n", 1) for c in conditions}
        many = f"; {max(numbers)} {unit}" if max(numbers) > 1 else ""
        if len(numbers) > 1:
            many = f"; n {unit}"
        rows = []
        for c in conditions:
            what = in_markdown(c["name"])
            what += " *(exploratory)*" if c.get("exploratory") else ""
            what += f" (n\u00a0=\u00a0{c.get('n', 1)})" if len(numbers) > 1 else ""
            found = [size(c), describe_margin(c), f"**{c['outcome']}**"]
            rows.append([what, *(text.replace(" ", "\u00a0") for text in found)])
        header = ["condition", "effect", "claimed", "found"]
        lines += [
            f"Measured: {in_markdown(metric)}{many}.",
            "",
            as_table(header, rows),
            "",
        ]
    lines.pop()
    levels = [c["level"] for c in record["conditions"] if c.get("level", 1.0) < 1]
    if len(levels) > 1:
        each = " or ".join(f"{100 * level:.3g}%" for level in sorted(set(levels)))
        text = f"Each interval has a confidence of {each}"
        if min(levels) > 0.95:
            text += ", so that all of them hold at once with at least 95% (Bonferroni)"
        lines += ["", f"{text}."]
    elif levels:
        lines += ["", f"The confidence of the interval is {100 * levels[0]:.3g}%."]
    claim = claims[record["name"]]
    if others := claim.get("same_networks"):
        names = [in_markdown(claims[name]["claim"].rstrip(".")) for name in others]
        lines += ["", say_shared(f"“{name}”" for name in names)]
    said = f"“{in_markdown(claim['claim'])}” **{record['verdict'].upper()}**"
    return "\n".join([said, "", *lines])


def say_shared(others: Iterable[str]) -> str:
    """Say that a claim rests on the same networks as others, named in any form."""
    return (
        f"This claim is tested on the same networks as {' and '.join(others)}, so it "
        "is not independent evidence."
    )


def show(record: dict[str, Any]) -> None:
    """Show a record; in a notebook together with itself, for machines."""
    text = describe(record)
    if in_notebook():
        from IPython.display import display

        shown = {"text/plain": text, "text/markdown": text, MIME: record}
        display(shown, raw=True)
    else:
        print(text)


def read_ledger(folder: str | os.PathLike[str] | None = None) -> list[dict[str, Any]]:
    """Collect the claims and what the executed pages below `folder` recorded on them.

    Args:
        folder: where executed notebooks are. Default: `UNROLLED_LEDGER`, else the
            folder in which `make book` keeps them, see `default_folder`.

    Returns:
        list of dicts in the order of `claims.toml`, with `name`, what `load_claims`
        gives, and what `record_claim` kept: `verdict`, `base_seed`, and in each of the
        `conditions` its `outcome`, `effect`, `low`, `high`, `level`, `n` and `kind`.
        `verdict` is None if the page has not run, and "not measured" if no page
        can say (`untested` says why).
    """
    folder = Path(folder or os.environ.get("UNROLLED_LEDGER") or default_folder())
    records = {}
    for path in sorted(folder.rglob("*.ipynb")):
        for record in read_records(path):
            records[record["name"]] = record
    return [
        {"name": name, **claim, **records.get(name, no_record(claim))}
        for name, claim in load_claims().items()
    ]


def write_ledger(
    rows: Sequence[dict[str, Any]], folder: str | os.PathLike[str]
) -> tuple[Path, Path]:
    """Write the ledger as `claims-ledger.json` and `claims-ledger.csv`.

    The CSV has one line for each condition, with its claim repeated.

    Args:
        rows: what `read_ledger` returns.
        folder: where to write; it must exist.

    Returns:
        the two paths.
    """
    as_json = Path(folder) / "claims-ledger.json"
    text = json.dumps(rows, ensure_ascii=False, indent=1)
    as_json.write_text(text + "\n", encoding="utf-8")
    as_csv = as_json.with_suffix(".csv")
    with as_csv.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        for row in rows:
            for condition in row.get("conditions") or [{"name": None}]:
                about = {"condition": condition["name"]}
                writer.writerow(condition | row | about)
    return as_json, as_csv


def read_confirmation(
    path: str | os.PathLike[str] | None = None,
) -> dict[str, dict[str, Any]]:
    """Read what was confirmed on base seeds that nobody had tuned on.

    Args:
        path: a table of `tools.experiments.replicate`. Default: the recorded one.

    Returns:
        for each claim, by name, a dict with `verdict`, `verdicts` (how many base seeds
        gave which), `base_seeds` and `conditions`, a dict from each condition to its
        row; nothing if the table does not exist.
    """
    path = Path(path or Path(__file__).with_name("confirmation.csv"))
    claims: dict[str, dict[str, Any]] = {}
    if not path.exists():
        return claims
    with path.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            row: dict[str, Any] = dict(line)
            for key in ("effect", "low", "high", "level", "n"):
                row[key] = float(row[key]) if row[key] else None
            claim = claims.setdefault(
                row["claim"],
                {key: row[key] for key in ("verdict", "verdicts", "base_seeds")}
                | {"conditions": {}},
            )
            claim["conditions"][row["condition"]] = row
    return claims


def no_record(claim: dict[str, str]) -> dict[str, str | None]:
    """Return the ledger's entry for a claim that no executed page recorded."""
    return {"verdict": "not measured" if "untested" in claim else None}


def read_records(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Read the records in the outputs of one notebook, in order."""
    cells = json.loads(Path(path).read_text(encoding="utf-8")).get("cells", [])
    outputs = (out for cell in cells for out in cell.get("outputs", []))
    return [out["data"][MIME] for out in outputs if MIME in out.get("data", {})]


def default_folder() -> Path:
    """Return the folder in which `make book` keeps executed pages; it may not exist.

    It is in the checkout around the current folder, or else in the one that the package
    is imported from.
    """
    here = Path.cwd()
    folders = [here, *here.parents, Path(__file__).parents[2]]
    root = next((f for f in folders if (f / "_toc.yml").exists()), folders[-1])
    return root / "_build" / "executed"
