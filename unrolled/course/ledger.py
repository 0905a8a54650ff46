"""The claims ledger: pages record what they measured, page 6.4 collects it.

The words of a claim are in `claims.toml`, once. A page that tests it calls
`record_claim`, which prints the verdict and leaves the record in the cell's output;
`read_ledger` collects the records from executed notebooks.
"""

import csv
import functools
import json
import os
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unrolled.checks import read_array
from unrolled.course.measure import base_seed, mean_interval
from unrolled.course.results import in_notebook

MIME = "application/vnd.unrolled.claim+json"
VERDICTS = ("supported", "conditional", "not shown", "refuted", "not testable here")

# What a claim was found to be under a condition, and for several conditions by name.
Held = bool | np.bool_ | None
Holds = Held | dict[str, Any]

COLUMNS = (
    *("name", "claim", "source", "verdict", "holds", "effect", "half_width", "of"),
    *("seeds", "data", "base_seed", "page", "figure", "untested"),
)


@functools.cache
def load_claims() -> dict[str, dict[str, str]]:
    """Load the claims.

    Returns:
        for each claim, by name, a dict with `claim` and `source`, and either `page` and
        `figure`, the heading to look below, or `untested`, the reason why it is not.
    """
    text = Path(__file__).with_name("claims.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def verdict(holds: Holds) -> str:
    """Judge a claim by the conditions under which it was measured.

    Args:
        holds: dict from a condition, in words, to whether the claim holds under it:
            True, False, or None if the measurement does not tell, see `shown_above`.
            Or a single one of these.

    Returns:
        "supported" if it holds under all conditions, "conditional" if under some. If
        under none, "refuted" if it fails under at least one, and "not shown" if no
        measurement tells.

    Raises:
        ValueError: `holds` is something else, or empty.

    Example:
        >>> from unrolled.course.ledger import verdict
        >>> verdict({"T = 20": True, "T = 100": False})
        'conditional'
    """
    results = list(holds.values()) if isinstance(holds, dict) else [holds]
    if not results or not all(isinstance(r, bool | np.bool_ | None) for r in results):
        raise ValueError(
            f"holds is {holds!r}; expected True, False, None or a dict of them"
        )
    if all(results):
        return "supported"
    if any(results):
        return "conditional"
    return "not shown" if set(results) == {None} else "refuted"


def record_claim(
    name: str,
    holds: Holds,
    *,
    effect: npt.ArrayLike,
    of: str,
    data: str,
    seeds: int | None = None,
) -> None:
    """Print the verdict on a claim and leave it, for the ledger, in the cell's output.

    Args:
        name: the claim's name in `claims.toml`.
        holds: whether the claim is true of what was measured, None if that does not
            tell, or a dict from each condition to one of these; see `verdict`.
        effect: one number per seed, `(seeds,)`, of which mean and 95 % interval are
            kept; or a single number that is exact.
        of: what the effect is, with its unit: "test accuracy, LSTM - RNN, 196 steps".
        data: what it was measured on.
        seeds: how many networks the effect is based on; by default its length.

    Raises:
        ValueError: a name that `claims.toml` lacks, an effect that is not finite, or
            `holds` that `verdict` refuses.
    """
    if "page" not in load_claims().get(name, {}):
        raise ValueError(
            f"name is {name!r}; expected one with a page in unrolled/course/claims.toml"
        )
    effect = read_array("effect", effect).astype(float)
    if effect.ndim > 1 or not np.isfinite(effect).all():
        raise ValueError(f"effect is {effect}; expected finite numbers, one per seed")
    mean, half = mean_interval(effect) if effect.ndim else (float(effect), 0.0)
    by_condition = holds if isinstance(holds, dict) else {}
    record = {
        "name": name,
        "verdict": verdict(holds),
        "holds": {
            condition: None if held is None else bool(held)
            for condition, held in by_condition.items()
        },
        "effect": float(mean),
        "half_width": float(half),
        "of": of,
        "seeds": int(effect.size if seeds is None else seeds),
        "data": data,
        "base_seed": base_seed(),
    }
    show(describe(record), record)


def describe(record: dict[str, Any]) -> str:
    """Put a record into words."""
    text = f"“{load_claims()[record['name']]['claim']}” {record['verdict'].upper()}.\n"
    text += "".join(f"  {line}\n" for line in conditions(record))
    return f"{text}  {record['of']}: {size(record)} ({record['data']})"


def conditions(record: dict[str, Any]) -> list[str]:
    """Say for each condition, in one line, whether the claim holds under it."""
    words = {True: "holds", False: "does not hold", None: "not shown"}
    return [
        f"{words[held]}: {condition}"
        for condition, held in record.get("holds", {}).items()
    ]


def size(record: dict[str, Any]) -> str:
    """Write effect and half-width with as many digits as the interval justifies."""
    effect, half = record["effect"], record["half_width"]
    if half == 0:
        return f"{effect:.4g}"
    digits = max(0, 1 - int(np.floor(np.log10(half))))
    return f"{effect:.{digits}f} ± {half:.{digits}f}"


def show(text: str, record: dict[str, Any]) -> None:
    """Display `text`; in a notebook together with the record, for machines."""
    if in_notebook():
        from IPython.display import display

        display({"text/plain": text, MIME: record}, raw=True)
    else:
        print(text)


def read_ledger(folder: str | os.PathLike[str] | None = None) -> list[dict[str, Any]]:
    """Collect the claims and what the executed pages below `folder` recorded on them.

    Args:
        folder: where executed notebooks are. Default: `UNROLLED_LEDGER`, else the
            folder in which `make book` keeps them, see `default_folder`.

    Returns:
        list of dicts in the order of `claims.toml`, with `name`, what `load_claims`
        gives, and what `record_claim` kept. `verdict` is None if the page has not run,
        and "not testable here" if no page can say (`untested` says why).
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
            writer.writerow(row | {"holds": "; ".join(conditions(row))})
    return as_json, as_csv


def no_record(claim: dict[str, str]) -> dict[str, str | None]:
    """Return the ledger's entry for a claim that no executed page recorded."""
    return {"verdict": "not testable here" if "untested" in claim else None}


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
