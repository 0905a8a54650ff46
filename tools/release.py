"""Build what a release uploads, and check it: `python -m tools.release`.

Makes the source archive and the wheel of `unrolled` in `_build/release`, checks that
they hold what they should, and that the change log and the notebooks speak of this
version. On a tag, the workflow `release.yml` runs this, then uploads what it made.

    python -m tools.release              # build and check
    python -m tools.release --tag v0.2.0 # also: the tag must name this version
"""

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from pathlib import Path

from tools import console
from tools.checkout import package_files

ROOT = Path(__file__).parents[1]
OUTPUT = ROOT / "_build" / "release"
ARCHIVES = ("unrolled-*.whl", "unrolled-*.tar.gz")


def main(argv=None):
    """Run the command line; returns the exit status."""
    parser = console.parser("tools.release", __doc__)
    parser.add_argument("--tag", help="of the release, such as v0.2.0")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args(argv)
    version = read_version()
    if options.tag and options.tag != f"v{version}":
        parser.error(f"--tag is {options.tag}; expected v{version}, as pyproject.toml")
    if missing := unprepared(version):
        parser.error("not ready for " + version + ": " + "; ".join(missing))
    if options.output.exists() and not options.output.is_dir():
        parser.error(f"--output is {str(options.output)!r}; expected a folder")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        new = Path(folder, "new")
        build(new)
        made = sorted(new.iterdir())
        run(sys.executable, "-m", "twine", "check", "--strict", *map(str, made))
        for path in made:
            if missing := lacking(path):
                sys.exit(f"{path.name} lacks {', '.join(missing)}")
        put_in_place(made, options.output)
    return 0


def put_in_place(made, output):
    """Move what was made into the folder for it, in the place of earlier archives."""
    output.mkdir(parents=True, exist_ok=True)
    earlier = {old for pattern in ARCHIVES for old in output.glob(pattern)}
    for path in made:
        print(f"{path.name}  {path.stat().st_size / 1000:.0f} kB")
        # Beside its place first: from another disk, a file comes bit by bit.
        part = Path(shutil.copy(path, output / f"{path.name}.part"))
        part.replace(output / path.name)
    for old in earlier - {output / path.name for path in made}:
        old.unlink()


def read_version():
    """The version that pyproject.toml gives."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)["project"]["version"]


def unprepared(version):
    """Files that do not speak of this version yet, with what they should say."""
    expected = {
        ".github/CHANGELOG.md": rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$",
        "CITATION.cff": rf"^version: {re.escape(version)}$",
    }
    return [
        f"{name} has no line {pattern}"
        for name, pattern in expected.items()
        if not re.search(pattern, (ROOT / name).read_text(encoding="utf-8"), re.M)
    ]


def build(output):
    """Make the source archive and the wheel, without a network, from a clean copy."""
    # setuptools leaves build/ and an egg-info behind, and takes up old ones.
    source = output / "source"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "unrolled", source / "unrolled", ignore=ignored)
    for name in ("LICENSE", "README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "build", "--no-isolation"]
    run(*command, "--outdir", str(output), str(source))
    shutil.rmtree(source)


def run(*command):
    """Run a command; what it says is shown where it fails."""
    text = {"encoding": "utf-8", "errors": "replace"}
    ended = subprocess.run(command, capture_output=True, check=False, **text)
    if ended.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{ended.stdout}{ended.stderr}")


def lacking(path):
    """Files of the package that an archive or a wheel does not hold."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            names = set(wheel.namelist())
    else:
        with tarfile.open(path) as archive:
            names = {name.partition("/")[2] for name in archive.getnames()}
    files = [*package_files(ROOT / "unrolled"), ROOT / "unrolled" / "py.typed"]
    wanted = [path.relative_to(ROOT).as_posix() for path in files]
    return [name for name in wanted if name not in names]


if __name__ == "__main__":
    console.run(main)
