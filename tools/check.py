"""Check a change in a minute: `make check`.

Formatting, lint, spelling, types, declared dependencies, and the tests that need
neither a built site nor a browser nor Keras, all side by side. `make test` runs the
other tests as well.

    python -m tools.check               # everything
    python -m tools.check lint types    # only these
"""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from tools import console

ROOT = Path(__file__).resolve().parents[1]
SPREAD = ["-n", "logical", "--dist", "loadgroup", "--no-loadscope-reorder"]
QUICK = ["-m", "not site and not browser and not keras and not slow"]
# What pytest would load for nothing; importing it takes a second.
PLUGINS = ["-p", "tests.guard", "-p", "no:nbmake"]
# Modules with arguments; each runs from the checkout's root.
STEPS = {
    "tests": [
        *("pytest", "--quiet", *SPREAD, *QUICK, *PLUGINS),
        # It runs the other steps.
        "--deselect=tests/tools/test_check.py::test_the_checkout_passes",
    ],
    "types": ["mypy"],
    "dependencies": ["tools.dependencies"],
    "spelling": ["codespell_lib"],
    "lint": ["ruff", "check"],
    "format": ["ruff", "format", "--check"],
}


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = console.parser("tools.check", __doc__)
    parser.add_argument(
        "steps", nargs="*", metavar="STEP", help=f"some of: {', '.join(STEPS)}"
    )
    named = parser.parse_args(argv).steps
    if unknown := [name for name in named if name not in STEPS]:
        parser.error(f"STEP is {unknown[0]!r}; expected one of {', '.join(STEPS)}")
    failures = {}
    with ThreadPoolExecutor(len(STEPS)) as pool:
        jobs = {pool.submit(timed, step): step for step in named or STEPS}
        for job in as_completed(jobs):
            step, (status, output, seconds) = jobs[job], job.result()
            mark = "FAILED" if status else "ok"
            print(f"{step:13} {mark:7}{seconds:5.1f} s  {last_line(output)}")
            if status:
                failures[step] = output
            for line in output.splitlines():
                if line.startswith("SKIPPED") and not status:
                    print(f"{'':13} {line}")
    for step, output in failures.items():
        print(f"\n{'=' * 80}\n{step} failed: python -m {' '.join(STEPS[step])}\n")
        print(output)
    return 1 if failures else 0


def timed(step: str) -> tuple[int, str, float]:
    """Run a step; returns its exit status, what it printed, and seconds."""
    began = time.perf_counter()
    status, output = run_step(step)
    return status, output, time.perf_counter() - began


def run_step(step: str) -> tuple[int, str]:
    """Run a step in a process; returns its exit status and what it printed."""
    ended = subprocess.run(
        [sys.executable, "-m", *STEPS[step]],
        cwd=ROOT,
        env=os.environ | {"PYTHONUTF8": "1", "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    return ended.returncode, ended.stdout


def last_line(output: str) -> str:
    """How a program sums up what it found."""
    lines = output.strip().splitlines() or [""]
    return lines[-1].strip("= ")


if __name__ == "__main__":
    console.run(main)
