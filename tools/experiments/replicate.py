"""Confirm the claims on base seeds that nobody tuned on: what `make replicate` runs.

Runs the pages that record claims once for each base seed, and judges every condition by
all of them together: the base seeds are the unit of replication, and the intervals are
widened for the number of conditions (Bonferroni), so that with a chance of 95 % all
confirmed outcomes are right at once. Prints each claim's verdicts, and ends with status
1 where a page fails, or where a condition is shown to hold under one base seed and
shown false under another. What has run stays in _build/replicate, so an interrupted
run goes on where it stopped.

    python -m tools.experiments.replicate                   # base seeds 100 to 109
    python -m tools.experiments.replicate --seeds 201 202 203 204
    python -m tools.experiments.replicate --digits mine.npz # which verdicts carry over?
    python -m tools.experiments.replicate --scheduler tcp://HOST:8786

`--digits` takes a file in MNIST's layout, runs the pages that read digits, and compares
their verdicts with the recorded ones. `--record` writes what was confirmed to
unrolled/course/confirmation.csv, from which page 6.4 shows it. Every machine
of a Dask cluster needs the book's environment and the same package.
"""

import collections
import csv
import os
import platform
import re
import sys
import tempfile
from concurrent.futures import as_completed
from pathlib import Path

import nbformat
import numpy as np
from nbclient.exceptions import (
    CellExecutionError,
    CellTimeoutError,
    DeadKernelError,
)
from scipy.special import stdtrit
from tqdm import tqdm

import unrolled
from tools import checkout, console, kernels
from tools.cluster import NoCluster, executor
from unrolled.course.ledger import (
    CONFIRMED,
    RISK,
    counted,
    describe_margin,
    judged,
    load_claims,
    measure,
    read_confirmation,
    read_ledger,
    size,
    verdict,
)
from unrolled.course.measure import Effect, effect_of_all, measure_effect

ROOT = Path(__file__).parents[2]
READS_DIGITS = re.compile(r"\bload_mnist\(")


def run_page(text, variables, package):
    """Execute one notebook, here or on another machine.

    Args:
        text: the notebook as JSON.
        variables: environment variables for its kernel.
        package: hash that `package_hash` must give where this runs.

    Returns:
        the executed notebook as JSON, as far as it came, and the error that ended the
        run, or None.
    """
    if package_hash() != package:
        raise RuntimeError(f"{platform.node()} has another package `unrolled`")
    notebook = nbformat.reads(text, 4)
    with tempfile.TemporaryDirectory() as folder:
        client = kernels.PatientClient(
            notebook,
            timeout=None,
            resources={"metadata": {"path": folder}},
        )
        error = None
        try:
            ours = checkout.page_environment(Path(folder, "settings"))
            client.execute(env=ours | variables)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as stop:
            error = checkout.ANSI.sub("", str(stop))
    return nbformat.writes(notebook), error


def package_hash():
    """Hash of the installed package `unrolled`, where this runs."""
    folder = Path(unrolled.__file__).parent
    return checkout.hash_files(folder, checkout.package_files(folder))


def pages_of_claims(book, digits):
    """Pages that record claims; with `digits`, those of them that read digits."""
    measured = [c["page"] for c in load_claims().values() if "page" in c]
    named = {Path("book", f"{page}.ipynb") for page in measured}
    pages = sorted(named & set(book.pages()))
    if digits is None:
        return pages
    return [page for page in pages if book.code_has(page, READS_DIGITS)]


def replicate(root, seeds, scheduler=None, processes=2, digits=None):
    """Run what has not run for these seeds; returns `{seed: ledger}` and failures."""
    book = checkout.Book(root, root / "_build")
    pages = pages_of_claims(book, digits)
    home = folder(root, digits)
    kept = {seed: book.at(home / f"seed-{seed}", seed) for seed in seeds}
    package = package_hash()
    jobs, failures = {}, []
    modules = checkout, kernels, sys.modules[__name__]  # workers have no checkout
    with executor(scheduler, processes, modules) as pool:
        for seed in seeds:
            built = book.at(root / "_build", seed)
            for page in pages:
                if kept[seed].is_fresh(page):
                    continue
                # Its records are of another page or package, should this run fail.
                (kept[seed].executed / page).unlink(missing_ok=True)
                if built.is_fresh(page):  # as `make book` left it
                    notebook = nbformat.read(built.executed / page, 4)
                    kept[seed].keep(page, notebook, **notebook.metadata["run"])
                    continue
                # Before it is read: an edit while it waits or runs makes it stale.
                run = {"fingerprint": built.fingerprint(page)}
                text = (root / page).read_text(encoding="utf-8")
                job = pool.submit(run_page, text, variables(seed), package)
                jobs[job] = seed, page, run
        for job in tqdm(as_completed(jobs), total=len(jobs), unit="page"):
            seed, page, run = jobs[job]
            try:
                text, error = job.result()
            except Exception as fault:  # a machine may fail in any way
                error = fault
            if error is None:
                kept[seed].keep(page, nbformat.reads(text, 4), **run)
            else:  # the others go on
                failures.append((seed, page, error))
    return {seed: read_ledger(kept[seed].executed) for seed in seeds}, failures


def folder(root, digits=None):
    """Where what has run is kept; other digits have a folder of their own."""
    kept = root / "_build" / "replicate"
    return kept if digits is None else kept / f"digits-{checkout.digest(digits)[:8]}"


def variables(seed):
    """Environment of a page's kernel."""
    return {
        "UNROLLED_SEED": str(seed),
        "UNROLLED_MNIST": os.environ.get("UNROLLED_MNIST", "embedded"),
        "OPENBLAS_NUM_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def confirm(ledgers):
    """Judge each condition by what all base seeds measured of it.

    Args:
        ledgers: `{seed: ledger}`, as `replicate` returns.

    Returns:
        one dict per claim that was measured: `name`, `verdict`, `verdicts` (one per
        base seed), `contradicts` (whether a condition holds for one base seed and is
        shown false for another) and `conditions`, with `outcome`, `effect`, `low`,
        `high`, `level` and `n`, the number of base seeds.
    """
    claims = []
    for rows in zip(*ledgers.values(), strict=True):
        runs = [row for row in rows if row.get("base_seed") is not None]
        if runs:
            conditions = zip(*(row["conditions"] for row in runs), strict=True)
            claims.append((rows, list(conditions)))
    measured = [
        found
        for _, conditions in claims
        for found in conditions
        if counted(found[:1]) and found[0]["kind"] not in ("theorem", "exact")
    ]
    level = 1 - RISK / max(1, len(measured))
    confirmed = []
    for rows, conditions in claims:
        judged = [confirm_condition(found, level) for found in conditions]
        seen = [{c["outcome"] for c in found} for found in conditions]
        confirmed.append({
            "name": rows[0]["name"],
            "verdict": verdict(c["outcome"] for c in counted(judged)),
            "verdicts": [row["verdict"] for row in rows],
            "contradicts": any({"holds", "shown false"} <= s for s in seen),
            "conditions": judged,
        })
    return confirmed


def confirm_condition(found, level):
    """One condition, judged by its records under several base seeds.

    The interval is Student's over the base seeds. Networks that succeed or fail are
    counted over all base seeds, too, and the wider of both intervals is taken: where
    all succeed, no spread is seen, and yet the next may fail.
    """
    about = {key: found[0][key] for key in found[0] if key not in ("counts", "n")}
    seeds = {"n": len(found), "unit": "base seeds"}
    if about["kind"] == "theorem":
        return about | seeds
    known = [c for c in found if c["effect"] is not None]
    effects = [c["effect"] for c in known]
    if not known:
        interval = measure(about, None, level)
    elif len(known) == 1 or about.get("recorded"):
        interval = widen(known[0], level)
        seeds = {key: known[0][key] for key in ("n", "unit")}
    elif len(set(effects)) == 1 and known[0]["kind"] in ("exact", "median", "few"):
        # No base seed moves it, and within each all agree, too.
        interval = widen(known[0] | {"n": sum(c["n"] for c in known)}, level)
    else:
        interval = measure(about, effects, level)
        groups = add_counts([c["counts"] for c in known])
        if groups is not None:
            pooled = measure_effect(groups, level)
            ends = pooled[1:3]
            if interval.kind == "mean":  # the base seeds differ
                ends = min(interval.low, ends[0]), max(interval.high, ends[1])
            interval = Effect(pooled.effect, *ends, pooled.counts, pooled.kind)
    return about | seeds | judged(about, interval, level)


def widen(condition, level):
    """The interval of one record at another level."""
    groups = add_counts([condition["counts"]])
    if groups is not None:
        return measure_effect(groups, level)
    n, effect, kind = (condition[key] for key in ("n", "effect", "kind"))
    if kind == "exact":
        return Effect(effect, effect, effect, [n], kind)
    if kind in ("median", "few"):
        return effect_of_all(effect, n, level)
    factor = stdtrit(n - 1, [(1 + level) / 2, (1 + condition["level"]) / 2])
    stretch = factor[0] / factor[1]
    if condition.get("ratio"):
        ends = (effect * (condition[k] / effect) ** stretch for k in ("low", "high"))
    else:
        ends = (effect + (condition[k] - effect) * stretch for k in ("low", "high"))
    return Effect(effect, *ends, [n], kind)


def add_counts(counts):
    """Successes of several records together, as `measure_effect` takes them, or None.

    Args:
        counts: for each record, its `counts`: `[n]` where nothing was counted.
    """
    groups = []
    for records in zip(*counts, strict=True):
        if np.ndim(records) == 1:
            return None
        k, n = np.sum(records, 0)
        groups.append(np.arange(n) < k)
    return groups[0] if len(groups) == 1 else tuple(groups)


def tally(verdicts):
    """Say how often each verdict was found: "supported 9, not shown 1"."""
    counts = collections.Counter(v or "not run" for v in verdicts)
    return ", ".join(f"{word} {count}" for word, count in counts.most_common())


def report(confirmed, before, seeds):
    """Print the verdicts, and each condition with what all base seeds say of it."""
    width = max((len(claim["name"]) for claim in confirmed), default=0)
    print(f"\nOver the base seeds {' '.join(map(str, seeds))}:\n")
    print(f"{'claim':{width}}  {'confirmed':14}{'recorded':14}for each base seed")
    for claim in confirmed:
        recorded = before.get(claim["name"], {}).get("verdict", "–")
        mark = "  <- contradicts itself" if claim["contradicts"] else ""
        print(
            f"{claim['name']:{width}}  {claim['verdict']:14}{recorded:14}"
            f"{tally(claim['verdicts'])}{mark}"
        )
    print()
    for claim in confirmed:
        print(claim["name"])
        for c in claim["conditions"]:
            print(
                f"    {c['outcome']:12}{size(c)} ({describe_margin(c)}): {c['name']}"
                f"{' (exploratory)' if c.get('exploratory') else ''}"
            )
    known = [c for c in confirmed if c["name"] in before]
    if known:
        carried = [c["verdict"] == before[c["name"]]["verdict"] for c in known]
        print(f"\n{sum(carried)} of {len(known)} verdicts are the recorded ones.")


def write_confirmation(confirmed, seeds, path):
    """Write what was confirmed as CSV, a line for each condition."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(
            file, CONFIRMED, extrasaction="ignore", lineterminator="\n"
        )
        writer.writeheader()
        for claim in confirmed:
            for c in claim["conditions"]:
                about = {
                    "claim": claim["name"],
                    "verdict": claim["verdict"],
                    "verdicts": tally(claim["verdicts"]),
                    "condition": c["name"],
                    "base_seeds": " ".join(map(str, seeds)),
                }
                numbers = {
                    key: f"{c[key]:.6g}"
                    for key in ("effect", "low", "high")
                    if c.get(key) is not None
                }
                writer.writerow(c | about | numbers)
    part.replace(path)


def main(argv=None):
    """Run the command line; returns the exit status."""
    parser = console.parser("tools.experiments.replicate", __doc__)
    parser.add_argument("--seeds", nargs="+", type=int, default=[*range(100, 110)])
    parser.add_argument("--digits", type=Path, help="a file in MNIST's layout")
    parser.add_argument("--record", action="store_true", help="for page 6.4")
    parser.add_argument("--scheduler", help="address of a Dask scheduler")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--root", type=Path, default=ROOT)
    options = parser.parse_args(argv)
    seeds = list(dict.fromkeys(options.seeds))
    if min(seeds) < 0:
        parser.error(f"--seeds {seeds}: expected whole numbers, 0 or more")
    if options.record and options.digits:
        parser.error("--record and --digits: expected one of them")
    root = options.root.resolve()
    if options.digits:
        os.environ["UNROLLED_MNIST"] = str(options.digits)
    os.environ.setdefault("UNROLLED_MNIST", "embedded")  # the same on every machine
    try:
        checkout.check_command(root, options.processes)
    except ValueError as error:
        parser.error(str(error))
    try:
        with console.alone(root / "_build" / "replicate.lock", "replication"):
            ledgers, failures = replicate(
                root, seeds, options.scheduler, options.processes, options.digits
            )
    except NoCluster as error:
        parser.error(f"--scheduler {options.scheduler}: {error}")
    confirmed = confirm(ledgers)
    report(confirmed, read_confirmation(), seeds)
    for seed, page, error in failures:
        print(f"\n{page} failed for base seed {seed}:\n{error}")
    path = folder(root, options.digits) / "confirmation.csv"
    if options.record:
        path = root / "unrolled" / "course" / "confirmation.csv"
    if options.record and failures:
        print("\nNothing is recorded: a page failed.")
    else:
        write_confirmation(confirmed, seeds, path)
        print(f"\nThe table is at {path}")
    return 1 if failures or any(claim["contradicts"] for claim in confirmed) else 0


if __name__ == "__main__":
    console.run(main, "Interrupted; run the same command again to go on from here.")
