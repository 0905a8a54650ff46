"""Run every page under fresh base seeds: what `make seeds N=20` runs.

Draws N base seeds, prints them, and runs every page under each. An assertion that fails
does not stop its page, so one run shows all that would. Ends with the assertions that
failed or came close to it, and with status 1 where one failed. What has run is kept in
_build/seeds: an interrupted run resumes with the seeds that it drew.

    python -m tools.experiments.seeds --draw 20
    python -m tools.experiments.seeds --seeds 7301 8842 --only 'book/5-trends/*'
    python -m tools.experiments.seeds --scheduler tcp://HOST:8786   # several machines
"""

import contextlib
import csv
import json
import os
import secrets
import sys
import time
from collections import defaultdict
from concurrent.futures import as_completed
from pathlib import Path

import nbformat
import numpy as np
from tqdm import tqdm

from tools import checkout, console, kernels
from tools.cluster import NoCluster, executor
from tools.experiments import assertions, replicate

ROOT = Path(__file__).parents[2]
# In a namespace of its own: a page has names too.
WATCH = f"""__watch__ = {{}}
exec({Path(assertions.__file__).read_text("utf-8")!r}, __watch__)
__watch__["record"](get_ipython())
"""
FRESH = 1_000_000, 2**31  # nobody tunes a page with seeds in this range
ENOUGH = 5  # seeds, for a spread and a chance
LIKELY = 1e-4  # a chance of failing above this is shown
KINDS = tuple(assertions.KINDS.values())
COLUMNS = (
    *("page", "at", "kind", "assertion", "runs", "failures", "failed_for", "chance"),
    *("seen", "stated", "found"),
)


def run(book, pages, seeds, scheduler=None, processes=2):
    """Run the pages that have not run for these seeds.

    Returns:
        `{(page, seed): result}`; a result is a dict of `error`, what ended the run or
        None, `records`, as `assertions.leave` makes them, and `seconds`.
    """
    package = replicate.package_hash()
    results, jobs = {}, {}
    hash_of_watch = checkout.digest(Path(assertions.__file__))
    modules = checkout, kernels, replicate, sys.modules[__name__]
    with executor(scheduler, processes, modules) as pool:
        for seed in seeds:
            seeded = book.at(book.root / "_build", seed)
            for page in pages:
                key = [seeded.fingerprint(page), hash_of_watch]
                results[page, seed] = load(kept(book, page, seed), key)
                if results[page, seed] is None:
                    text = watched(book.root / page)
                    variables = replicate.variables(seed)
                    job = pool.submit(timed, text, variables, package)
                    jobs[job] = page, seed, key
        for job in tqdm(as_completed(jobs), total=len(jobs), unit="page"):
            page, seed, key = jobs[job]
            text, error, seconds = job.result()
            result = {"key": key, "error": error, "seconds": round(seconds, 1)}
            result["records"] = assertions.read(nbformat.reads(text, 4))
            save(kept(book, page, seed), result)
            results[page, seed] = result
    return results


def watched(path):
    """The notebook at `path`, with a first cell that watches the others, as JSON."""
    notebook = nbformat.read(path, 4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(WATCH))
    return nbformat.writes(notebook)


def timed(text, variables, package):
    """What `replicate.run_page` returns, and how long it took."""
    began = time.monotonic()
    return *replicate.run_page(text, variables, package), time.monotonic() - began


def kept(book, page, seed):
    """Where the result of a page under a base seed is kept."""
    name = "-".join(page.with_suffix("").parts[1:])
    return book.root / "_build" / "seeds" / str(seed) / f"{name}.json"


def load(path, key):
    """A result kept earlier, if it came from what is there now; else None."""
    try:
        result = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return result if result["key"] == key and result["error"] is None else None


def save(path, content):
    """Write JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content), encoding="utf-8")
    part.replace(path)


def draw(path, number):
    """Fresh base seeds, kept at `path` until they have run: then new ones are drawn."""
    with contextlib.suppress(OSError, ValueError):
        seeds = json.loads(path.read_text("utf-8"))
        if len(seeds) == number:
            return seeds
    low, high = FRESH
    seeds = [low + secrets.randbelow(high - low) for _ in range(number)]
    save(path, seeds)
    return seeds


def chance(pairs, scales):
    """The chance that an assertion fails under a fresh seed, from those that ran.

    By Student's predictive distribution: of n normal numbers with mean m and standard
    deviation s, the next lies below 0 with the probability that t with n - 1 degrees of
    freedom lies below -m / (s sqrt(1 + 1/n)). This assumes one hump and no long tails;
    what was seen stands beside it in the table.

    Args:
        pairs: `(low, high)` of each run; the assertion demands low < high.
        scales: how margins are measured, functions of all `low` and all `high`; the
            one that parts them best counts.
    """
    from scipy.special import stdtr

    low, high = np.array(pairs, dtype=float).T
    found = []
    for scale in scales:
        with np.errstate(all="ignore"):
            margin = scale(low, high)
        if not np.isfinite(margin).all():
            continue
        spread = margin.std(ddof=1) * np.sqrt(1 + 1 / len(margin))
        if spread > 1e-12 * np.abs(margin).max():
            found.append(float(stdtr(len(margin) - 1, -margin.mean() / spread)))
        else:  # the same for every seed
            found.append(float(margin.mean() < 0))
    return min(found, default=1.0)


def difference(low, high):
    """How far apart: the scale of a guard, whose author has taken logarithms."""
    return high - low


def ratio(low, high):
    """By which factor, as a logarithm."""
    return np.log(high / low)


def tabulate(results):
    """A row, a dict of `COLUMNS`, for each assertion of each page."""
    found = defaultdict(dict)
    for (page, seed), result in results.items():
        for record in result["records"]:
            place = str(page), record["at"], record["kind"], record["text"]
            found[place].setdefault(seed, []).append(record)
        if result["error"]:
            words = result["error"].strip().splitlines()[-1]
            place = str(page), "", "stopped", words
            found[place][seed] = [{"held": False, "pairs": []}]
    return [row(place, runs) for place, runs in sorted(found.items(), key=position)]


def position(item):
    """Sorts assertions by page and place."""
    page, at = item[0][:2]
    return page, [int(number) for number in at.split(".") if number]


def row(place, runs):
    """A row of the table from the records of each seed."""
    failed = [seed for seed, records in runs.items() if not all_held(records)]
    records = [record for of_one_seed in runs.values() for record in of_one_seed]
    kind, enough = place[2], len(runs) >= ENOUGH
    scales = [difference] if kind == "guard" else [difference, ratio]
    chances, seen = [], []
    for part in range(max(len(record["pairs"]) for record in records)):
        pairs = [nearest(of_one_seed, part) for of_one_seed in runs.values()]
        pairs = [pair for pair in pairs if pair]
        if enough and len(pairs) == len(runs):
            chances.append(chance(pairs, scales))
        if pairs:
            seen.append(" < ".join(map(span, zip(*pairs, strict=True))))
    stated = next((record["spread"] for record in records if "spread" in record), None)
    numbers = [record["value"] for record in records if "value" in record]
    found = [np.mean(numbers), np.std(numbers, ddof=1)] if enough and numbers else None
    values = [*place, len(runs), len(failed), " ".join(map(str, failed))]
    values.append(f"{max(chances):.1g}" if chances else "")
    values += ["; ".join(seen), plus_minus(stated), plus_minus(found)]
    return dict(zip(COLUMNS, values, strict=True))


def all_held(records):
    """Whether an assertion held each time that a run came to it."""
    return all(record["held"] for record in records)


def nearest(records, part):
    """Of all times that a run came to an assertion, the pair that came nearest."""
    pairs = [r["pairs"][part] for r in records if len(r["pairs"]) > part]
    pairs = [pair for pair in pairs if pair]
    return min(pairs, key=lambda pair: pair[1] - pair[0], default=None)


def span(numbers):
    """`0.2 to 0.3`, or `0.2` where all are the same to three digits."""
    least, most = f"{min(numbers):.3g}", f"{max(numbers):.3g}"
    return least if least == most else f"{least} to {most}"


def plus_minus(spread):
    """`mean ± standard deviation`, or nothing."""
    return "{:.4g} ± {:.2g}".format(*spread) if spread else ""


def worth_a_look(row):
    """Whether an assertion failed, or may under another seed."""
    return row["failures"] or (row["chance"] and float(row["chance"]) > LIKELY)


def report(rows, seeds, path):
    """Write the table and print what is worth a look; returns how many failures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    for r in sorted(filter(worth_a_look, rows), key=lambda r: -r["failures"]):
        print(f"\n{r['page']} [{r['at']}], {r['kind']}: {r['assertion']}")
        print(f"    failed for {r['failures']} of {r['runs']} seeds {r['failed_for']}")
        for name in ("chance", "seen", "stated", "found"):
            if r[name]:
                print(f"    {name}: {r[name]}")
    pages = sorted({r["page"] for r in rows})
    width = max(map(len, pages), default=4)
    print(
        f"\n{'page':{width}}" + "".join(f"{name:>10}" for name in (*KINDS, "failures"))
    )
    for page in pages:
        own = [r for r in rows if r["page"] == page]
        counts = [sum(r["kind"] == kind for r in own) for kind in KINDS]
        counts.append(sum(r["failures"] for r in own))
        print(f"{page:{width}}" + "".join(f"{count:10}" for count in counts))
    failures = sum(r["failures"] for r in rows)
    print(f"\n{failures} failures under {len(seeds)} base seeds; the table is {path}")
    return failures


def main(argv=None):
    """Run the command line; returns the exit status."""
    parser = console.parser("tools.experiments.seeds", __doc__)
    parser.add_argument("--draw", type=int, default=20, metavar="N", help="fresh seeds")
    parser.add_argument("--seeds", nargs="+", type=int, help="these, none drawn")
    parser.add_argument("--only", nargs="+", default=["book/**/*"], help="patterns")
    parser.add_argument("--scheduler", help="address of a Dask scheduler")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--root", type=Path, default=ROOT)
    options = parser.parse_args(argv)
    if options.draw < 1:
        parser.error(f"--draw {options.draw}: expected 1 or more")
    if min(options.seeds or [0]) < 0:
        parser.error(f"--seeds {options.seeds}: expected whole numbers, 0 or more")
    root = options.root.resolve()
    book = checkout.Book(root, root / "_build")
    os.environ.setdefault("UNROLLED_MNIST", "embedded")  # the same on every machine
    try:
        checkout.check_command(root, options.processes)
    except ValueError as error:
        parser.error(str(error))
    try:
        found = {page for pattern in options.only for page in book.pages(pattern)}
    except ValueError as error:
        parser.error(f"--only: {error}")
    pages = sorted(found)
    if not pages:
        parser.error(f"--only {options.only} matches no page of {root}")
    folder = root / "_build" / "seeds"
    drawn = folder / "drawn.json"
    with console.alone(root / "_build" / "seeds.lock", "run of seeds"):
        seeds = options.seeds or draw(drawn, options.draw)
        print("Base seeds:", *seeds, flush=True)
        try:
            results = run(book, pages, seeds, options.scheduler, options.processes)
        except NoCluster as error:
            parser.error(f"--scheduler {options.scheduler}: {error}")
        if not options.seeds:
            drawn.unlink(missing_ok=True)  # these have run
        failures = report(tabulate(results), seeds, folder / "table.csv")
    return 1 if failures else 0


if __name__ == "__main__":
    console.run(main, "Interrupted; run the same command again to go on from here.")
