"""How long a class takes to grade, and how much memory: `make bench`."""

import os
import resource
import subprocess
import tempfile
import time
from pathlib import Path

from tests.tools.grading.classroom import GRADE, make_class, write_notebook

SUBMISSIONS = 200
LARGE = 1000  # submissions, of
TEXT = "#" + "x" * 1_000_000


def grade(folder):
    """Grade A2 in `folder/submissions`; returns the seconds that it took."""
    command = [*GRADE, "a2", f"{folder}/submissions", "--output", f"{folder}/grades"]
    start = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - start


def main():
    """Make two classes, grade them, print time and memory."""
    with tempfile.TemporaryDirectory() as folder:
        submissions = Path(folder) / "submissions"
        submissions.mkdir()
        for number in range(LARGE):
            write_notebook(submissions / f"{number}.ipynb", [TEXT])
        grade(folder)
    # Of the grader and of all that it ran, the one that took most.
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
    print(f"{LARGE} submissions of 1 MB: at most {most} MB in one process")
    with tempfile.TemporaryDirectory() as folder:
        make_class("a2", SUBMISSIONS, Path(folder) / "submissions")
        seconds = grade(folder)
    print(
        f"{SUBMISSIONS} submissions of A2, {SUBMISSIONS // 10} of them hostile: "
        f"{seconds:.0f} s on {os.cpu_count()} cores"
    )


if __name__ == "__main__":
    main()
