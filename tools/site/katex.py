"""KaTeX's script, style sheet and fonts: fetched once, checked, kept; no Django.

On a Python package index they lie in the wheel of a Django plugin, which would bring
Django along. So that wheel is downloaded by itself, and only KaTeX's files are kept.
`python -m tools.site.katex` does so ahead of the first build.
"""

import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import platformdirs

from tools import console

VERSION = "0.16.40"  # of KaTeX, inside the wheel
WHEEL = "djangocms-katex==1.0.2"
SHA256 = "79774fa17f7d328252f6dd05688799fa7ee49abebb7cbe09f0cbf6f103352ac2"
INSIDE = "djangocms_katex/static/djangocms_katex/vendor/katex/"
# All that is taken out of the wheel. No name of this form leads out of a folder.
KEPT = re.compile(r"katex\.min\.(?:js|css)|LICENSE|fonts/[A-Za-z0-9_-]+\.woff2")
BOOK = "gates-and-gradients"


def files() -> Path:
    """Folder with katex.min.js, katex.min.css and fonts/; needs a network only once.

    Raises:
        RuntimeError: They are not here yet and cannot be fetched or kept.
    """
    cache = platformdirs.user_cache_path(BOOK, appauthor=False)
    roots = [Path(sys.prefix, "share", BOOK), cache]
    folders = [root / f"katex-{VERSION}" for root in roots]
    for folder in folders:
        if is_whole(folder):
            return folder
    contents = fetch()
    for folder in folders:
        try:
            keep(contents, folder)
        except OSError as error:  # not writable, or full
            reason = error
        else:
            return folder
    raise RuntimeError(f"Neither {roots[0]} nor {cache} can be written.") from reason


def is_whole(folder: Path) -> bool:
    """Whether all that was unpacked lies there, each file in its full size."""
    try:
        sizes = json.loads((folder / "whole.json").read_text(encoding="utf-8"))
        return all((folder / n).stat().st_size == size for n, size in sizes.items())
    except (OSError, ValueError):
        return False


def keep(contents: dict[str, bytes], folder: Path) -> None:
    """Write the files beside `folder`, then move them there all at once.

    Where another process was faster, its files stay.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    where = {"dir": folder.parent, "prefix": ".katex-"}
    with tempfile.TemporaryDirectory(**where, ignore_cleanup_errors=True) as beside:
        made = Path(beside, "made")
        for name, content in contents.items():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            (made / name).write_bytes(content)
        sizes = {name: len(content) for name, content in contents.items()}
        (made / "whole.json").write_text(json.dumps(sizes), encoding="utf-8")
        for wait in (0.1, 1, 3, None):  # on Windows a virus scanner may hold new files
            if is_whole(folder):
                return
            try:
                if folder.exists():  # something of it was lost
                    folder.rename(Path(beside, f"broken-{wait}"))
                made.rename(folder)
                return
            except OSError:
                if wait is None:
                    raise
                time.sleep(wait)


def fetch() -> dict[str, bytes]:
    """Download the wheel with pip or uv, as they are set up; returns KaTeX's files."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        target, pin = Path(temporary, "wheel"), Path(temporary, "katex.txt")
        pin.write_text(f"{WHEEL} --hash=sha256:{SHA256}\n", encoding="utf-8")
        options = ["--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:"]
        options += ["-r", str(pin)]
        uv = shutil.which("uv")
        if importlib.util.find_spec("pip"):
            command = [sys.executable, "-m", "pip", "download", "--no-input"]
            run([*command, *options, f"--dest={target}"])
        elif uv or importlib.util.find_spec("uv"):  # which cannot download alone
            command = [*([uv] if uv else [sys.executable, "-m", "uv"]), "pip"]
            command += ["install", f"--python={sys.executable}", "--link-mode=copy"]
            # Not in the checkout, where uv applies the settings of the book's lock.
            run([*command, *options, f"--target={target}"], cwd=temporary)
        else:
            install = "run `python -m ensurepip`, then `python -m tools.site.katex`"
            raise RuntimeError(f"Fetching KaTeX's files needs pip or uv: {install}.")
        found = {}
        for path in filter(Path.is_file, target.rglob("*")):
            found[path.relative_to(target).as_posix()] = path.read_bytes()
            if path.suffix == ".whl":
                if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
                    raise RuntimeError(f"{path.name} is not the {WHEEL} expected.")
                with zipfile.ZipFile(path) as wheel:
                    found |= {name: wheel.read(name) for name in wheel.namelist()}
    inside = {n.removeprefix(INSIDE): found[n] for n in found if n.startswith(INSIDE)}
    kept = {name: inside[name] for name in inside if KEPT.fullmatch(name)}
    if not {"katex.min.js", "katex.min.css"} <= kept.keys():
        raise RuntimeError(f"{WHEEL} has no KaTeX in {INSIDE}.")
    return kept


def run(command: list[str], cwd: str | None = None) -> None:
    """Run pip or uv; what it says comes with the error that it leads to."""
    take = {"capture_output": True, "encoding": "utf-8", "errors": "replace"}
    result = subprocess.run(command, cwd=cwd, check=False, **take)
    if result.returncode == 0:
        return
    said = [x for x in result.stderr.splitlines() if x and "WARNING" not in x]
    if re.search(r"match the hashes|hash mismatch", result.stderr, re.IGNORECASE):
        why = f"The package index has another file as {WHEEL} than the one expected."
    else:
        why = (
            f"Typesetting the formulas needs KaTeX from {WHEEL}, which could not be "
            "fetched: run `python -m tools.site.katex` once with a Python package "
            "index in reach, and the book builds without a network from then on."
        )
    raise RuntimeError(why) from RuntimeError("\n".join(said))


def main(argv: list[str] | None = None) -> int:
    """Fetch the files if need be and say where they are; returns the exit status."""
    parser = console.parser("tools.site.katex", __doc__)
    parser.parse_args(argv)
    try:
        print(files())
    except RuntimeError as error:
        print(f"{error}\n{error.__cause__ or ''}".rstrip(), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    console.run(main)
