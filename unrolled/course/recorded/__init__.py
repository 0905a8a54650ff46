"""Results of runs too large for a reader's machine, made by `make experiments`."""

from pathlib import Path

import numpy as np

from unrolled.types import Array

FOLDER = Path(__file__).parent


def load_recorded(name: str) -> Array:
    """Load a recorded run, one row per network.

    Args:
        name: name of the CSV file beside this module, without its ending; the script
            that made it is `tools/experiments/recorded/<name>.py`.

    Returns:
        structured array `(rows,)`. Besides what was varied and measured, each row says
        on what machine, when, with which versions and in how many seconds it was made.

    Raises:
        ValueError: there is no such run.

    Example:
        >>> from unrolled.course.recorded import load_recorded
        >>> runs = load_recorded("memory")
        >>> loss = runs["loss"][runs["model"] == "LSTM"]
    """
    path = FOLDER / f"{name}.csv"
    if not path.exists():
        known = sorted(p.stem for p in FOLDER.glob("*.csv"))
        raise ValueError(f"name is {name!r}; expected one of {known}")
    rows = np.genfromtxt(path, delimiter=",", names=True, dtype=None, encoding="utf-8")
    return np.atleast_1d(rows)  # of a single row NumPy makes no array
