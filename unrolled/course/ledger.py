"""The claims ledger: pages record what they measured, page 6.4 collects it.

A claim's words stand in `claims.toml`, once. A page that tests it calls
`record_claim`, which prints the verdict and leaves the record in the cell's output;
`read_ledger` gathers the records from executed notebooks.
"""

import csv
import functools
import json
import os
import tomllib
from pathlib import Path

import numpy as np

from unrolled.course.measure import base_seed, mean_interval
from unrolled.course.results import in_notebook

MIME = "application/vnd.unrolled.claim+json"
VERDICTS = ("supported", "conditional", "not shown", "refuted", "not testable here")
COLUMNS = (
    *("name", "claim", "source", "verdict", "holds", "effect", "half_width", "of"),
    *("seeds", "data", "base_seed", "page", "figure", "untested"),
)


@functools.cache
def load_claims():
    """Every claim by its name: a dict of `claim` and `source`, and where it is tested.

    That is `page` and `figure`, the heading to look below; or `untested`: why not.
    """
    text = Path(__file__).with_name("claims.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def verdict(holds):
    """Verdict on a claim from the conditions under which it was measured.

    Args:
        holds: dict from a condition, in words, to whether the claim holds under it:
            True, False, or None where the measurement does not tell, see
            `unrolled.course.shown_above`. Or a single one of these.

    Returns:
        "supported" where it holds under all conditions, "conditional" under some;
        under none, "refuted" where it fails under one or more, and "not shown" where
        no condition tells.
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


def record_claim(name, holds, *, effect, of, data, seeds=None):
    """Print the verdict on a claim and leave it, for the ledger, in the cell's output.

    Args:
        name: the claim's name in `claims.toml`.
        holds: whether the claim is true of what was measured, None where that does not
            tell, or a dict from each condition to that; see `verdict`.
        effect: one number a seed, `(seeds,)`, of which mean and 95 % interval are kept;
            or a single number that is exact.
        of: what the effect is, with its unit: "test accuracy, LSTM - RNN, 196 steps".
        data: what it was measured on.
        seeds: how many networks stand behind it; default: as many as `effect` has.

    Raises:
        ValueError: a name that `claims.toml` lacks, an effect that is not finite, or
            `holds` that `verdict` refuses.
    """
    if "page" not in load_claims().get(name, {}):
        raise ValueError(
            f"name is {name!r}; expected one with a page in unrolled/course/claims.toml"
        )
    effect = np.asarray(effect, dtype=float)
    if effect.ndim > 1 or not np.isfinite(effect).all():
        raise ValueError(f"effect is {effect}; expected finite numbers, one a seed")
    mean, half = mean_interval(effect) if effect.ndim else (effect, 0)
    record = {
        "name": name,
        "verdict": verdict(holds),
        "holds": {
            condition: None if held is None else bool(held)
            for condition, held in holds.items()
        }
        if isinstance(holds, dict)
        else {},
        "effect": float(mean),
        "half_width": float(half),
        "of": of,
        "seeds": int(effect.size if seeds is None else seeds),
        "data": data,
        "base_seed": base_seed(),
    }
    show(describe(record), record)


def describe(record):
    """A record in words."""
    text = f"“{load_claims()[record['name']]['claim']}” {record['verdict'].upper()}.\n"
    text += "".join(f"  {line}\n" for line in conditions(record))
    return f"{text}  {record['of']}: {size(record)} ({record['data']})"


def conditions(record):
    """A line for each condition: whether the claim holds under it."""
    words = {True: "holds", False: "does not hold", None: "not shown"}
    return [
        f"{words[held]}: {condition}"
        for condition, held in record.get("holds", {}).items()
    ]


def size(record):
    """Effect and half-width, in as many digits as the interval earns."""
    effect, half = record["effect"], record["half_width"]
    if half == 0:
        return f"{effect:.4g}"
    digits = max(0, 1 - int(np.floor(np.log10(half))))
    return f"{effect:.{digits}f} ± {half:.{digits}f}"


def show(text, record):
    """Display `text`; in a notebook the record goes with it, for machines."""
    if in_notebook():
        from IPython.display import display

        display({"text/plain": text, MIME: record}, raw=True)
    else:
        print(text)


def read_ledger(folder=None):
    """Every claim with what the executed pages below `folder` recorded on it.

    Args:
        folder: where executed notebooks lie. Default: `UNROLLED_LEDGER`, else the
            folder in which `make book` keeps them, see `default_folder`.

    Returns:
        list of dicts in the order of `claims.toml`: `name`, what `load_claims` gives,
        and what `record_claim` kept. `verdict` is None where the page has not run, and
        "not testable here" where no page can say (`untested`: why).
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


def write_ledger(rows, folder):
    """Write the ledger as `claims-ledger.json` and `.csv` into `folder`.

    Args:
        rows: what `read_ledger` returns.
        folder: where to; it must exist.

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


def no_record(claim):
    """What stands in the ledger for a claim that no executed page recorded."""
    return {"verdict": "not testable here" if "untested" in claim else None}


def read_records(path):
    """The records in the outputs of one notebook, in order."""
    cells = json.loads(Path(path).read_text(encoding="utf-8")).get("cells", [])
    outputs = (out for cell in cells for out in cell.get("outputs", []))
    return [out["data"][MIME] for out in outputs if MIME in out.get("data", {})]


def default_folder():
    """Where `make book` keeps executed pages.

    In the checkout that the current folder lies in, or else in the one that the package
    is imported from; a folder that may not exist.
    """
    here = Path.cwd()
    folders = [here, *here.parents, Path(__file__).parents[2]]
    root = next((f for f in folders if (f / "_toc.yml").exists()), folders[-1])
    return root / "_build" / "executed"
