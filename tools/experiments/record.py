"""Make the recorded runs: what `make experiments` runs.

Each script in the folder `recorded` holds `CASES`, a list of dicts (what is varied, one
network each), `EARLY`, a number of updates, and `run(case, updates=None)`, which trains
one network and returns what was measured as a dict. With `updates=EARLY` it stops
early; its `early_loss` is then what the whole run's was, which is how a test repeats a
row. Where a search tells which cases come next, a function `cases(rows)` of the rows so
far takes the place of `CASES`.

    python -m tools.experiments.record            # every case that has no row yet
    python -m tools.experiments.record lengths    # of one script; two may run at once
    python -m tools.experiments.record --again    # every case anew, or go on with that
"""

import csv
import datetime
import importlib
import os
import platform
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

from tools import console
from unrolled.course import recorded

SCRIPTS = Path(__file__).parent / "recorded"
PACKAGE = recorded.FOLDER
AGAIN = SCRIPTS.parents[2] / "_build" / "recorded"  # a repetition, until it is whole


def names():
    """The scripts in the folder `recorded`."""
    return sorted(p.stem for p in SCRIPTS.glob("*.py") if p.stem != "__init__")


def load(name):
    """The module of one script."""
    return importlib.import_module(f"tools.experiments.recorded.{name}")


def rows_of(path):
    """Rows already made, as dicts of strings."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def cases_of(module, rows):
    """The cases of a script, as far as `rows` tell."""
    return module.cases(rows) if hasattr(module, "cases") else module.CASES


def missing(module, path):
    """Cases that have no row yet."""
    rows = rows_of(path)
    cases = cases_of(module, rows)
    done = {tuple(row[key] for key in cases[0]) for row in rows}
    return [case for case in cases if tuple(map(str, case.values())) not in done]


def add_row(path, row):
    """Add a row to the table at `path`: a run that is killed leaves none cut short."""
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, row, lineterminator="\n")
        writer.writeheader()
        writer.writerows([*rows_of(path), row])
    part.replace(path)


def record(name, again=False):
    """Run what is missing; each row is on disk before the next case begins.

    With `again`, everything is missing, and the new rows take the old ones' place when
    they are whole.
    """
    module, kept = load(name), PACKAGE / f"{name}.csv"
    path = AGAIN / kept.name if again else kept
    path.parent.mkdir(parents=True, exist_ok=True)
    with console.alone(AGAIN / f"{name}.lock", f"recording of {name}"):
        make_rows(name, module, path)
        if again:
            path.replace(kept)


def make_rows(name, module, path):
    """Add rows to the table at `path` until no case lacks one."""
    bar = tqdm(desc=name, unit="network")
    while todo := missing(module, path):
        case, began = todo[0], time.process_time()
        row = {**case, **module.run(case)}
        row |= {
            # Of the processor, because others may be at work on the machine.
            "seconds": round(time.process_time() - began, 1),
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "machine": f"{platform.machine()} {os.cpu_count()} cores",
            "python": platform.python_version(),
            "numpy": np.__version__,
        }
        add_row(path, row)
        bar.total = bar.n + len(todo)  # a search may add more
        bar.update()
    bar.close()


def main(argv=None):
    """Run the command line; returns the exit status."""
    parser = console.parser("tools.experiments.record", __doc__)
    parser.add_argument("names", nargs="*", help=f"of {names()}; all by default")
    parser.add_argument("--again", action="store_true", help="replace what is there")
    options = parser.parse_args(argv)
    if unknown := set(options.names) - set(names()):
        parser.error(f"names holds {sorted(unknown)}; expected some of {names()}")
    chosen = options.names or names()
    try:  # before hours of other runs
        for module in map(load, chosen):
            if getattr(module, "FULL_MNIST", False):
                module.load_digits()
    except ValueError as error:
        parser.error(str(error))
    for name in chosen:
        record(name, options.again)
    return 0


if __name__ == "__main__":
    console.run(main, "Interrupted; run the same command again to go on from here.")
