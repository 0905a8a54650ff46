"""Make hand-outs and autograders from the master notebooks: `make assignments` runs it.

otter-grader takes solutions and hidden tests out. A hand-out also gets the package, the
pins it needs and instructions, so that students need nothing but a package index; an
autograder gets the package, which no index has. Made again, they are the same bytes.

    python -m tools.grading.assign --output _build/assignments
"""

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import nbformat
import yaml

from tools import console
from tools.checkout import hash_files, package_files
from tools.grading.masters import add_option

ROOT = Path(__file__).parents[2]
PACKAGE = ("numpy", "matplotlib", "mlxtend", "threadpoolctl", "tqdm", "jupyterlab")
KERAS = ("tensorflow", "keras")
OTTER = "from otter.test_files import test_case"
OURS = "from unrolled.course.assignments import test_case"
# Words that stand in masters only.
SECRETS = re.compile(r"SOLUTION|BEGIN TEST|HIDDEN|_cases|hidden=True")
README = """# {title}

From *Gates & Gradients: RNN vs LSTM, derived, built, measured*.

You need Python 3.11, 3.12 or 3.13. Open a terminal in this folder and type:

| | Linux, macOS | Windows |
|---|---|---|
| once | `python3 -m venv .venv` | `py -m venv .venv` |
| once | `.venv/bin/pip install -r requirements.txt` | \
`.venv\\Scripts\\pip install -r requirements.txt` |
| to work | `.venv/bin/python -m jupyterlab {name}.ipynb` | \
`.venv\\Scripts\\python -m jupyterlab {name}.ipynb` |

Where several versions of Python are installed, name one: `python3.13` for `python3`,
`py -3.13` for `py`.

1. Replace every `...` with your answer. `grader.check("q1")` says what is right so far,
   and what is wrong where it is not. Your points depend on more inputs than it tries.
2. Hand in `{name}.ipynb`, nothing else.

The folder `unrolled` is the book's package, which the notebook imports from here.
"""


def main(argv=None):
    """Run the command line; returns the exit status."""
    parser = console.parser("tools.grading.assign", __doc__)
    add_option(parser)
    parser.add_argument(
        "--output",
        type=Path,
        default=ROOT / "_build" / "assignments",
        help="folder for the zips (_build/assignments)",
    )
    options = parser.parse_args(argv)
    masters = sorted(options.masters.glob("*.ipynb"))
    if not masters:
        parser.error(f"--masters {options.masters}: there is no notebook")
    for master in masters:
        if not master.with_name(f"{master.stem}_cases.py").exists():
            parser.error(f"--masters: {master} has no {master.stem}_cases.py beside it")
    options.output.mkdir(parents=True, exist_ok=True)
    with (
        console.alone(options.output / "assign.lock", "run of this command"),
        tempfile.TemporaryDirectory(dir=options.output) as folder,
    ):
        made = Path(folder)
        for master in masters:
            stamp = options.output / "made" / f"{master.stem}.txt"
            if is_made(options.output, master, stamp):
                print(f"{master.stem}: up to date")
                continue
            try:
                make(master, made)
            except ValueError as error:
                print(error, file=sys.stderr)
                return 1
            stamp.unlink(missing_ok=True)
            for path in zips(made, master.stem):
                target = options.output / path.relative_to(made)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)
            stamp.parent.mkdir(parents=True, exist_ok=True)
            stamp.write_text(fingerprint(master), encoding="utf-8")
            print(f"{master.stem}: hand-out and autograder")
    print(f"The zips are in {options.output}")
    return 0


def zips(folder, name):
    """The two archives of one assignment."""
    return [folder / kind / f"{name}.zip" for kind in ("handouts", "autograders")]


def is_made(output, master, stamp):
    """Whether both archives are there and made from what is there today."""
    if not stamp.exists() or not all(
        path.exists() for path in zips(output, master.stem)
    ):
        return False
    return stamp.read_text(encoding="utf-8") == fingerprint(master)


def fingerprint(master):
    """Hash of all that the archives of one master are made from."""
    ours = [
        ROOT / name for name in ("requirements.txt", "requirements.lock", "LICENSE")
    ]
    ours += [Path(__file__), *package_files(ROOT / "unrolled")]
    own = [master, master.with_name(f"{master.stem}_cases.py")]
    return f"{hash_files(ROOT, ours)} {hash_files(master.parent, own)}"


def make(master, output):
    """Make the hand-out and the autograder of one master.

    Args:
        master: path of the notebook; `NAME_cases.py` lies beside it.
        output: folder that gets `handouts/NAME.zip` and `autograders/NAME.zip`.

    Raises:
        ValueError: otter failed, or something of the solution is left.
    """
    name = master.stem
    cases = master.with_name(f"{name}_cases.py")
    with tempfile.TemporaryDirectory() as folder:
        staging = Path(folder)
        notebook = nbformat.read(master, 4)
        pins = requirements(notebook)
        configure(notebook, requirements=pins)
        # Beside the master, whatever lies outside would be missing in the zip.
        nbformat.write(notebook, staging / master.name)
        shutil.copy(cases, staging)
        command = [sys.executable, "-m", "otter", "assign", master.name, "dist"]
        command += ["--no-run-tests"]
        run = subprocess.run(
            command, cwd=staging, capture_output=True, encoding="utf-8", check=False
        )
        (found,) = list(staging.glob("dist/autograder/*.zip")) or [None]
        if run.returncode != 0 or found is None:
            raise ValueError(f"master {master}: otter failed\n{run.stdout}{run.stderr}")
        write_zip(
            output / "handouts" / f"{name}.zip",
            handout(name, staging / "dist" / "student", pins),
        )
        write_zip(output / "autograders" / f"{name}.zip", autograder(found))


def requirements(notebook):
    """Lines of the book's requirements that an assignment needs."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    pins = {
        name: pin for pin, name in re.findall(r"^((\S+?)==\S+)", text, re.MULTILINE)
    }
    with_keras = any("keras" in cell.source for cell in notebook.cells)
    return [pins[name] for name in (*PACKAGE, *(KERAS if with_keras else ()))]


def configure(notebook, **settings):
    """Add settings to the master's first cell, which is otter's."""
    head, _, text = notebook.cells[0].source.partition("\n")
    settings = yaml.safe_load(text) | settings
    notebook.cells[0].source = f"{head}\n{yaml.safe_dump(settings)}"


def handout(name, student, pins):
    """Files of a hand-out by path: bytes."""
    notebook = nbformat.read(student / f"{name}.ipynb", 4)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"{name}-{number:02d}"  # otter draws them anew each time
    title = notebook.cells[0].source.partition("\n")[0].lstrip("# ")
    files = {
        f"{name}.ipynb": nbformat.writes(notebook) + "\n",
        "README.md": README.format(title=title, name=name),
        "requirements.txt": "\n".join(pins) + "\n",
    }
    for path in sorted((student / "tests").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        text = text.replace(OTTER, OURS)
        files[f"tests/{path.name}"] = f'assignment = "{name}"\n{text}'
    for path, text in files.items():
        left = SECRETS.search(text)
        if left:
            raise ValueError(f"{name}, {path}: {left[0]!r} is left of the master")
    files = {path: text.encode() for path, text in files.items()}
    files["LICENSE"] = (ROOT / "LICENSE").read_bytes()
    return {f"{name}/{path}": data for path, data in (files | package()).items()}


def autograder(path):
    """Files of otter's zip, with the package beside the submission."""
    with zipfile.ZipFile(path) as archive:
        files = {info.filename: archive.read(info) for info in archive.infolist()}
    return files | {f"files/{name}": data for name, data in package().items()}


def package():
    """Files of the package `unrolled`: bytes by path."""
    return {
        path.relative_to(ROOT).as_posix(): path.read_bytes()
        for path in package_files(ROOT / "unrolled")
    }


def write_zip(path, files):
    """Write a zip that depends on its files only, not on the day."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted(files.items()):
            info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            runs = name.startswith(("run_", "setup"))
            info.external_attr = (0o755 if runs else 0o644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)


if __name__ == "__main__":
    console.run(main, "Interrupted; what was made before is as it was.")
