"""Making hand-outs loses nothing, and makes nothing that is there."""

import shutil

import pytest

from tests.tools.grading.classroom import MASTERS
from tools.grading import assign


@pytest.fixture
def masters(tmp_path):
    """A folder with a master and its cases."""
    folder = tmp_path / "masters"
    folder.mkdir()
    for name in ("a1.ipynb", "a1_cases.py"):
        shutil.copy(MASTERS / name, folder)
    return folder


@pytest.fixture
def made(monkeypatch):
    """Names of the assignments that are made, in the place of otter's work."""
    found = []

    def make(master, output):
        found.append(master.stem)
        for path in assign.zips(output, master.stem):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{len(found)}", encoding="utf-8")

    monkeypatch.setattr(assign, "make", make)
    return found


def run(masters, output):
    return assign.main(["--masters", str(masters), "--output", str(output)])


def test_what_is_there_is_not_made_again(masters, made, tmp_path):
    output = tmp_path / "made"
    for expected in (1, 1):
        assert run(masters, output) == 0
        assert len(made) == expected
    cases = masters / "a1_cases.py"
    cases.write_text(cases.read_text("utf-8") + "\n", encoding="utf-8")
    assert run(masters, output) == 0 and len(made) == 2
    assign.zips(output, "a1")[1].unlink()
    assert run(masters, output) == 0 and len(made) == 3


def test_what_lies_beside_them_stays(masters, made, tmp_path):
    (tmp_path / "home" / "handouts").mkdir(parents=True)
    for name in ("thesis.tex", "handouts/mine.zip"):
        (tmp_path / "home" / name).write_text("mine", encoding="utf-8")
    assert run(masters, tmp_path / "home") == 0
    assert (tmp_path / "home" / "thesis.tex").read_text("utf-8") == "mine"
    assert (tmp_path / "home" / "handouts" / "mine.zip").exists()


def test_a_failure_leaves_the_earlier_ones(
    masters, made, tmp_path, monkeypatch, capsys
):
    assert run(masters, tmp_path / "made") == 0
    before = [path.read_bytes() for path in assign.zips(tmp_path / "made", "a1")]
    cases = masters / "a1_cases.py"
    cases.write_text(cases.read_text("utf-8") + "\n", encoding="utf-8")

    def fail(master, output):
        raise ValueError("otter failed")

    monkeypatch.setattr(assign, "make", fail)
    assert run(masters, tmp_path / "made") == 1
    assert "otter failed" in capsys.readouterr().err
    after = [path.read_bytes() for path in assign.zips(tmp_path / "made", "a1")]
    assert after == before


def test_a_master_needs_its_cases(masters, made, tmp_path, capsys):
    (masters / "a1_cases.py").unlink()
    with pytest.raises(SystemExit) as stop:
        run(masters, tmp_path / "made")
    assert (
        stop.value.code == 2 and "no a1_cases.py beside it" in capsys.readouterr().err
    )
