"""`make replicate` on two small pages: verdicts compared, nothing run twice."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT, write_page

SAME = """from unrolled.course import base_seed, record_claim
open({log!r}, "a").write("same ")
effect = 2.0 + base_seed()
record_claim("four-times-time", False, effect=effect, of="ratio", data="-")"""
FLIPS = """from unrolled.course import base_seed, record_claim
open({log!r}, "a").write("flips ")
holds = base_seed() < {bound}
record_claim("order-needs-memory", holds, effect=1.0, of="ratio", data="-")"""


@pytest.fixture
def make(small_book, tmp_path, monkeypatch):
    """Write the two pages; returns what runs the script and says which pages ran."""
    monkeypatch.setenv("UNROLLED_MNIST", "embedded")
    log = tmp_path / "runs"

    def run(*arguments, bound=9, broken=False):
        log.write_text("", encoding="utf-8")
        flips = FLIPS.format(log=str(log), bound=bound) + ("\n1 / 0" if broken else "")
        for name, source in (
            ("4-code/8-cost", SAME.format(log=str(log))),
            ("1-background/1-memory", flips),
        ):
            path = small_book / "book" / f"{name}.ipynb"
            path.parent.mkdir(exist_ok=True)
            if not path.exists() or json.dumps(source) not in path.read_text(
                encoding="utf-8"
            ):
                write_page(path, "# Page", [source])
        command = [sys.executable, "-m", "tools.experiments.replicate"]
        command += ["--root", str(small_book)]
        result = subprocess.run(
            [*command, *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        return result, sorted(log.read_text("utf-8").split())

    return run


def test_verdicts_that_agree(make, small_book):
    result, ran = make("--seeds", "0", "1", "2")
    assert result.returncode == 0, result.stdout + result.stderr
    assert ran == 3 * ["flips"] + 3 * ["same"]
    assert re.search(r"four-times-time +refuted +refuted +refuted *\n", result.stdout)
    table = (small_book / "_build/replicate/verdicts.csv").read_text("utf-8")
    assert "four-times-time,refuted,refuted,refuted" in table
    assert "order-needs-memory,supported,supported,supported" in table


def test_a_verdict_that_flips_is_named_and_fails(make):
    result, _ = make("--seeds", "0", "1", bound=1)
    assert result.returncode == 1
    (line,) = [s for s in result.stdout.splitlines() if s.endswith("<- differs")]
    assert line.split()[:3] == ["order-needs-memory", "supported", "refuted"]


def test_a_page_that_fails_is_named_and_the_others_go_on(make):
    result, ran = make("--seeds", "0", broken=True)
    assert result.returncode == 1 and ran == ["flips", "same"]
    assert "book/1-background/1-memory.ipynb failed for base seed 0" in result.stdout
    assert "ZeroDivisionError" in result.stdout and "refuted" in result.stdout


def test_seeds_are_checked(make):
    result, ran = make("--seeds", "-1")
    assert result.returncode == 2 and "0 or more" in result.stderr and not ran


def test_only_what_is_missing_runs(make, small_book):
    """An interrupted run goes on; what `make book` has run for a seed is taken over."""
    assert make("--seeds", "0")[1] == ["flips", "same"]
    assert make("--seeds", "0", "3")[1] == ["flips", "same"]  # for seed 3
    assert make("--seeds", "0", "3")[1] == []
    build = small_book / "_build"
    (build / "replicate/seed-3/executed").rename(build / "executed")
    assert make("--seeds", "3")[1] == []
    assert (build / "replicate/seed-3/executed/book/4-code/8-cost.ipynb").exists()


def test_a_dask_cluster_gives_the_same(make, small_book, cluster):
    seeds = ["--seeds", "1", "2"]
    alone, _ = make(*seeds, bound=2)
    shutil.rmtree(small_book / "_build")
    shared, ran = make(*seeds, "--scheduler", cluster, bound=2)
    assert ran == ["flips", "flips", "same", "same"]
    assert shared.returncode == alone.returncode == 1, shared.stderr
    assert shared.stdout == alone.stdout
