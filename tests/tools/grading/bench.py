"""How long a class takes to grade: 200 submissions of A2. `make bench`."""

import os
import subprocess
import tempfile
import time
from pathlib import Path

from tests.tools.grading.classroom import GRADE, make_class

SUBMISSIONS = 200


def main():
    """Make a class, grade it, print the time."""
    with tempfile.TemporaryDirectory() as folder:
        submissions = Path(folder) / "submissions"
        make_class("a2", SUBMISSIONS, submissions)
        command = [*GRADE, "a2", str(submissions), "--output", f"{folder}/grades"]
        start = time.perf_counter()
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - start
    print(
        f"{SUBMISSIONS} submissions of A2, {SUBMISSIONS // 10} of them hostile: "
        f"{seconds:.0f} s on {os.cpu_count()} cores"
    )


if __name__ == "__main__":
    main()
