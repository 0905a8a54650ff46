"""A series to forecast: the cars that passed on a motorway, hour by hour, two years."""

import csv
import hashlib
import io
import os
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from unrolled.checks import check_path
from unrolled.types import Array

WEEK = 168  # hours

# Where autots keeps the series: a CSV file in a zip file of the same name.
_PLACE = ("datasets", "data", "traffic_hourly.zip")
# What `_checksum` makes of it.
_CHECKSUM = "67a90a2ac3fefd40cfb49d23fb0f1997ffb39856c20ec674a398c46f5a46eb40"
_CREDIT = (
    "westbound on Interstate 94 between Minneapolis and St Paul; counted by MnDOT, "
    "published by J. Hogue as Metro Interstate Traffic Volume (UCI, 2019, CC BY 4.0), "
    "cut by AutoTS to two years with one row per hour"
)
_COLUMNS = ("datetime", "traffic_volume")


@dataclass(frozen=True)
class Traffic:
    """An hourly series without gaps, which says where it comes from.

    Attributes:
        hours: when each hour begins, datetime64 `(n,)`, one hour apart.
        flow: vehicles in that hour, `(n,)`, 0 or more. Empty hours hold what was
            counted a week before; in the first week, what the hour before holds.
        missing: whether the hour was empty, `(n,)`: not to be scored.
        source: "file" (named by the caller or `UNROLLED_TRAFFIC`) or "embedded" (the
            series that autots ships).
        origin: one sentence for people, the line that `load_traffic` prints.
        is_original: whether this is the book's series, by content; only then may a page
            expect what is known of it.
        name: for captions and tables.
    """

    hours: Array
    flow: Array
    missing: Array
    source: str
    origin: str
    is_original: bool
    name: str

    def __len__(self) -> int:
        """Return the number of hours."""
        return len(self.flow)


def load_traffic(source: str | os.PathLike[str] | None = None) -> Traffic:
    """Load two years of hourly traffic, or a series of your own, and print its origin.

    The series ships with the package autots, whose file is read without importing it,
    which would take seconds. Empty hours are filled with what was counted a week
    before, so that no number comes from the future.

    Args:
        source: path of a CSV file with the columns `datetime` (ISO 8601) and
            `traffic_volume`, one row per hour; a volume may be empty. Or
            "embedded" for the series of autots. If None, the environment variable
            `UNROLLED_TRAFFIC` is read, which takes the same two kinds of value, and
            then autots.

    Returns:
        `Traffic`.

    Raises:
        ValueError: the named file is missing, damaged or not such a table, or what
            autots ships is not the book's series, which a checksum tells.
        FileNotFoundError: autots would be next, but it is not installed.

    References:
        Hogue, "Metro Interstate Traffic Volume", UCI Machine Learning Repository
        (2019), doi:10.24432/C5X60B, CC BY 4.0.
    """
    named = source if source is not None else os.environ.get("UNROLLED_TRAFFIC") or None
    traffic = _embedded() if named in (None, "embedded") else _read_file(named)
    print(traffic.origin)
    return traffic


def _read_file(path: str | os.PathLike[str]) -> Traffic:
    """Read a CSV file of one's own."""
    name = check_path("source", path).name
    try:
        text = Path(os.path.expanduser(os.fsdecode(path))).read_text("utf-8-sig")
        hours, flow = _parse(text)
    except (OSError, RuntimeError):
        problem = "there is no such file, or it cannot be read"
    except UnicodeDecodeError:
        problem = "it is not text in UTF-8; expected a CSV file"
    except ValueError as error:
        problem = str(error)
    else:
        original = _checksum(hours, flow) == _CHECKSUM
        return _fill(hours, flow, "file", f"from {name}", original, name)
    raise ValueError(f"traffic file {str(path)!r}: {problem}")


def _embedded() -> Traffic:
    """Read the series that autots ships."""
    spec = find_spec("autots")  # finds the folder and imports nothing
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            "no traffic within reach: autots, the package that ships the series, is "
            "not installed; install it, or name a file in UNROLLED_TRAFFIC"
        )
    path = Path(spec.submodule_search_locations[0]).joinpath(*_PLACE)
    try:
        with zipfile.ZipFile(path) as packed:
            hours, flow = _parse(packed.read(packed.namelist()[0]).decode("utf-8"))
        whole = _checksum(hours, flow) == _CHECKSUM
    except (OSError, EOFError, IndexError, ValueError, zipfile.BadZipFile):
        whole = False
    if not whole:
        raise ValueError(
            f"{path.name}, the hourly traffic of the package autots, is damaged, "
            "missing or another series; install autots again, or name a file in "
            "UNROLLED_TRAFFIC"
        )
    return _fill(hours, flow, "embedded", "from the package autots", True, "I-94")


def _parse(text: str) -> tuple[Array, Array]:
    """Return hours and volumes of a CSV file; NaN stands for an empty volume."""
    rows = csv.DictReader(io.StringIO(text))
    fields = list(rows.fieldnames or [])
    if not set(_COLUMNS) <= set(fields):
        raise ValueError(f"it has the columns {fields[:9]}; expected {list(_COLUMNS)}")
    times, volumes = [], []
    for row in rows:
        when, volume = (row[column] or "" for column in _COLUMNS)
        try:
            times.append(np.datetime64(when.strip(), "h"))
            volumes.append(float(volume) if volume.strip() else np.nan)
        except ValueError:
            raise ValueError(
                f"line {rows.line_num} holds {when!r} and {volume!r}; expected a time "
                "and a number"
            ) from None
    hours, flow = np.array(times, "datetime64[h]"), np.array(volumes)
    if len(flow) < 2 * WEEK:
        raise ValueError(f"it has {len(flow)} hours; expected {2 * WEEK} or more")
    follows = np.diff(hours, prepend=hours[0] - 1).astype(int) == 1  # NaT does not
    if not follows.all():
        k = int(follows.argmin())
        raise ValueError(
            f"row {k + 1} is of {hours[k]}, not of the hour after the one before; "
            "expected one row per hour, in order"
        )
    if np.isinf(flow).any() or (flow < 0).any():
        raise ValueError("a volume is negative or infinite; expected 0 or more")
    if np.isnan(flow).all():
        raise ValueError("every volume is empty; expected numbers")
    return hours, flow


def _fill(hours, flow, source, where, original, name):
    """Fill empty hours from the past, and say what this is."""
    missing, flow = np.isnan(flow), flow.copy()
    for t in np.flatnonzero(missing):  # rising, so that a long gap repeats its week
        flow[t] = flow[t - WEEK] if t >= WEEK else flow[t - 1] if t else 0.0
    credit = f" ({_CREDIT})" if original else ", which holds another series"
    origin = (
        f"Traffic: {len(flow):,} hours, {hours[0]} to {hours[-1]}, {where}{credit}; "
        f"{missing.sum():,} empty hours are filled from the week before."
    )
    return Traffic(hours, flow, missing, source, origin, original, name)


def _checksum(hours: Array, flow: Array) -> str:
    """Return the SHA-256 of hours and volumes; −1 stands for an empty one."""
    table = np.column_stack([
        hours.astype("datetime64[h]").astype(np.int64),
        np.where(np.isnan(flow), -1, flow).round().astype(np.int64),
    ])
    return hashlib.sha256(table.astype("<i8").tobytes()).hexdigest()
