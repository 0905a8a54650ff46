"""The traffic: the book's series or one's own, said aloud, filled from the past."""

import subprocess
import sys
import zipfile

import numpy as np
import pytest

from tests.conftest import missing
from unrolled.tasks import load_traffic
from unrolled.tasks import series as ours


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """No file named."""
    monkeypatch.delenv("UNROLLED_TRAFFIC", raising=False)


@pytest.fixture
def autots():
    """The package that ships the series is installed; nothing imports it."""
    if ours.find_spec("autots") is None:
        missing("autots is not installed (pip install -r tests/requirements.txt)")


shipped = pytest.mark.usefixtures("autots")


def write(path, n=400, start="2020-01-01", column="traffic_volume", **changes):
    """A CSV file of n hours, some of them changed: row number → line."""
    hours = np.datetime64(start, "h") + np.arange(n)
    lines = [f"{hour}:00:00,{k % 168 + 1}" for k, hour in enumerate(hours)]
    for row, line in changes.items():
        lines[int(row[1:])] = line
    path.write_text("\n".join([f"datetime,{column}", *lines]) + "\n", "utf-8")
    return path


@shipped
def test_the_book_s_series(capsys):
    traffic = load_traffic()
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    for word in ("17,520", "autots", "CC BY 4.0", "Hogue", "two years", "104"):
        assert word in said, word
    assert traffic.is_original and traffic.source == "embedded"
    assert len(traffic) == 17_520 == len(traffic.hours) == len(traffic.missing)
    assert (np.diff(traffic.hours) == np.timedelta64(1, "h")).all()
    assert traffic.missing.sum() == 104 and np.isfinite(traffic.flow).all()
    assert traffic.flow.min() > 100 and traffic.flow.max() < 8000


@shipped
def test_gaps_hold_what_was_counted_a_week_before():
    traffic = load_traffic("embedded")
    gaps = np.flatnonzero(traffic.missing)
    gaps = gaps[gaps >= 168]
    assert np.array_equal(traffic.flow[gaps], traffic.flow[gaps - 168])


@shipped
def test_autots_is_not_imported():
    code = (
        "import sys; from unrolled.tasks import load_traffic; load_traffic(); "
        "print([m for m in ('autots', 'pandas') if m in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True
    )
    assert run.stdout.splitlines()[-1] == "[]" and run.stderr == ""


@shipped
def test_a_file_of_the_same_series_is_known(tmp_path):
    package = ours.find_spec("autots").submodule_search_locations[0]
    packed = zipfile.ZipFile(ours.Path(package).joinpath(*ours._PLACE))
    path = tmp_path / "mine.csv"
    path.write_bytes(packed.read(packed.namelist()[0]))
    traffic = load_traffic(path)
    assert (traffic.source, traffic.name, traffic.is_original) == (
        "file",
        "mine.csv",
        True,
    )
    text = path.read_text("utf-8").replace(",1195,", ",1196,", 1)
    path.write_text(text, "utf-8")
    assert not load_traffic(path).is_original


def test_a_series_of_one_s_own(tmp_path, monkeypatch, capsys):
    path = write(tmp_path / "road.csv", r5="2020-01-01T05,", r300="2020-01-13 12:00,")
    monkeypatch.setenv("UNROLLED_TRAFFIC", str(path))
    traffic = load_traffic()
    assert "road.csv, which holds another series" in capsys.readouterr().out
    assert not traffic.is_original and traffic.name == "road.csv"
    assert np.flatnonzero(traffic.missing).tolist() == [5, 300]
    assert traffic.flow[300] == traffic.flow[132]  # a week before
    assert traffic.flow[5] == traffic.flow[4]  # in the first week: the hour before
    assert str(traffic.hours[0]) == "2020-01-01T00"


def test_filling_looks_at_the_past_alone(tmp_path):
    """A gap longer than a week, and one at the very start."""
    changes = {f"r{k}": f"{np.datetime64('2020-01-01', 'h') + k}," for k in range(2)}
    changes |= {
        f"r{k}": f"{np.datetime64('2020-01-01', 'h') + k}," for k in range(168, 340)
    }
    traffic = load_traffic(write(tmp_path / "gaps.csv", **changes))
    assert traffic.flow[:3].tolist() == [0, 0, 3]
    assert np.array_equal(traffic.flow[168:336], traffic.flow[:168])
    assert np.array_equal(traffic.flow[336:340], traffic.flow[:4])


@shipped
def test_the_argument_comes_before_the_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("UNROLLED_TRAFFIC", str(write(tmp_path / "road.csv")))
    assert load_traffic("embedded").is_original
    monkeypatch.setenv("UNROLLED_TRAFFIC", "")
    assert load_traffic().is_original


DAMAGE = {
    "missing": (lambda p: None, "no such file"),
    "folder": (lambda p: p.mkdir(), "no such file"),
    "bytes": (lambda p: p.write_bytes(b"\xff\xfe\x00"), "not text in UTF-8"),
    "empty": (lambda p: p.touch(), "columns []"),
    "other columns": (lambda p: write(p, column="cars"), "['datetime', 'cars']"),
    "short": (lambda p: write(p, n=335), "335 hours; expected 336 or more"),
    "no number": (lambda p: write(p, r7="2020-01-01T07,many"), "line 9 holds"),
    "no time": (lambda p: write(p, r7="soon,3"), "line 9 holds 'soon'"),
    "time missing": (lambda p: write(p, r7=",3"), "row 8 is of NaT"),
    "hour left out": (lambda p: write(p, r7="2020-01-01T08,3"), "row 8 is of 2020"),
    "hour twice": (lambda p: write(p, r7="2020-01-01T06,3"), "row 8 is of 2020"),
    "negative": (lambda p: write(p, r7="2020-01-01T07,-1"), "negative or infinite"),
    "infinite": (lambda p: write(p, r7="2020-01-01T07,inf"), "negative or infinite"),
    "no counts": (
        lambda p: write(
            p,
            n=336,
            **{f"r{k}": f"{np.datetime64('2020-01-01', 'h') + k}," for k in range(336)},
        ),
        "every volume is empty",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_named_file_with_a_fault_is_refused(kind, tmp_path):
    damage, says = DAMAGE[kind]
    path = tmp_path / "broken.csv"
    damage(path)
    with pytest.raises(ValueError, match=r"traffic file .*broken\.csv") as caught:
        load_traffic(path)
    assert says in str(caught.value)


@pytest.mark.parametrize("name", [3, ["road.csv"]])
def test_what_is_no_path(name):
    with pytest.raises(ValueError, match=r"^source is .*; expected a path"):
        load_traffic(name)


def pretend(monkeypatch, places):
    """As if autots lay in these folders; None: it is not installed."""
    spec = None if places is None else type("Spec", (), {})()
    if spec:
        spec.submodule_search_locations = places
    monkeypatch.setattr(ours, "find_spec", lambda name: spec)


def test_without_the_package_that_ships_the_series(monkeypatch):
    pretend(monkeypatch, None)
    with pytest.raises(FileNotFoundError, match=r"autots.*UNROLLED_TRAFFIC"):
        load_traffic()


@pytest.mark.parametrize("damage", ["missing", "no zip", "other series", "empty zip"])
def test_a_damaged_package_is_refused(damage, tmp_path, monkeypatch):
    pretend(monkeypatch, [str(tmp_path)])
    path = tmp_path.joinpath(*ours._PLACE)
    path.parent.mkdir(parents=True)
    if damage == "no zip":
        path.write_bytes(b"PK nothing")
    elif damage != "missing":
        with zipfile.ZipFile(path, "w") as packed:
            if damage == "other series":
                packed.write(write(tmp_path / "x.csv"), "traffic_hourly.zip")
    with pytest.raises(ValueError, match=r"traffic_hourly\.zip.*install autots again"):
        load_traffic()


def test_the_checksum_knows_hours_volumes_and_gaps():
    hours = np.datetime64("2020-01-01", "h") + np.arange(5)
    flow = np.array([1.0, 2.0, np.nan, 4.0, 5.0])
    known = ours._checksum(hours, flow)
    assert ours._checksum(hours.astype("datetime64[s]"), flow) == known
    assert ours._checksum(hours + 1, flow) != known
    assert ours._checksum(hours, np.nan_to_num(flow)) != known
    assert ours._checksum(hours, np.where(flow == 4, 3, flow)) != known
