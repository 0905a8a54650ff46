"""Make the recorded runs: what `make experiments` runs.

Each script in the folder `recorded` holds `CASES`, a list of dicts (what is varied, one
network each), `EARLY`, a number of updates, and `run(case, updates=None)`, which trains
one network and returns what was measured as a dict. With `updates=EARLY` it stops
early; its `early_loss` is then what the whole run's was, which is how a test repeats a
row.

    python -m tools.experiments.record            # every case that has no row yet
    python -m tools.experiments.record lengths    # of one script
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


def missing(module, path):
    """Cases that have no row yet."""
    keys = list(module.CASES[0])
    done = {tuple(row[key] for key in keys) for row in rows_of(path)}
    return [case for case in module.CASES if tuple(map(str, case.values())) not in done]


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
    # A script that reads its own rows (`load_recorded`) shall read those of this run.
    recorded.FOLDER = AGAIN if again else PACKAGE
    recorded.FOLDER.mkdir(parents=True, exist_ok=True)
    path = recorded.FOLDER / f"{name}.csv"
    for case in tqdm(missing(module, path), desc=name, unit="network"):
        began = time.perf_counter()
        row = {**case, **module.run(case)}
        row |= {
            "seconds": round(time.perf_counter() - began, 1),
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "machine": f"{platform.machine()} {os.cpu_count()} cores",
            "python": platform.python_version(),
            "numpy": np.__version__,
        }
        add_row(path, row)
    if again:
        path.replace(kept)
        recorded.FOLDER = PACKAGE


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
                module.digits()
    except ValueError as error:
        parser.error(str(error))
    with console.alone(AGAIN.with_suffix(".lock"), "recording"):
        for name in chosen:
            record(name, options.again)
    return 0


if __name__ == "__main__":
    console.run(main, "Interrupted; run the same command again to go on from here.")
