"""Run the pages that record claims for several base seeds: what `make replicate` runs.

Prints each claim's verdict for each seed, and ends with status 1 where two differ. What
has run stays in _build/replicate, so an interrupted run goes on where it stopped.

    python -m tools.experiments.replicate --seeds 0 1 2 3 4
    python -m tools.experiments.replicate --scheduler tcp://HOST:8786   # or several

Every machine of a Dask cluster needs the book's environment and the same package.
"""

import csv
import os
import platform
import sys
import tempfile
from concurrent.futures import as_completed
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import (
    CellExecutionError,
    CellTimeoutError,
    DeadKernelError,
)
from tqdm import tqdm

import unrolled
from tools import checkout, console
from tools.cluster import NoCluster, executor
from unrolled.course.ledger import load_claims, read_ledger

ROOT = Path(__file__).parents[2]


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
        client = NotebookClient(
            notebook,
            timeout=None,  # a busy machine may take its time, also to start a kernel
            startup_timeout=24 * 3600,
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


def replicate(root, seeds, scheduler=None, processes=2):
    """Run what has not run for these seeds; returns `{seed: ledger}` and failures."""
    measured = [c["page"] for c in load_claims().values() if "page" in c]
    named = {Path("book", f"{page}.ipynb") for page in measured}
    book = checkout.Book(root, root / "_build")
    pages = sorted(named & set(book.pages()))
    kept = {seed: book.at(folder(root, seed), seed) for seed in seeds}
    package = package_hash()
    jobs, failures = {}, []
    modules = checkout, sys.modules[__name__]  # workers have no checkout
    with executor(scheduler, processes, modules) as pool:
        for seed in seeds:
            built = book.at(root / "_build", seed)
            for page in pages:
                if kept[seed].is_fresh(page):
                    continue
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


def folder(root, seed):
    """Where the pages of one base seed are kept."""
    return root / "_build" / "replicate" / f"seed-{seed}"


def variables(seed):
    """Environment of a page's kernel."""
    return {
        "UNROLLED_SEED": str(seed),
        "UNROLLED_MNIST": os.environ.get("UNROLLED_MNIST", "embedded"),
        "OPENBLAS_NUM_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def table(ledgers):
    """Rows of the table: a claim, its verdict for each seed, whether all agree."""
    rows = []
    for of_one_claim in zip(*ledgers.values(), strict=True):
        verdicts = [row["verdict"] for row in of_one_claim]
        rows.append((of_one_claim[0]["name"], verdicts, len(set(verdicts)) == 1))
    return rows


def report(rows, seeds, path):
    """Print the table and write it as CSV."""
    width = max(len(name) for name, _, _ in rows)
    print(f"\n{'claim':{width}}  " + "".join(f"seed {seed:<13}" for seed in seeds))
    for name, verdicts, same in rows:
        cells = "".join(f"{verdict or '(not run)':18}" for verdict in verdicts)
        print(f"{name:{width}}  {cells}{'' if same else '<- differs'}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["claim", *(f"seed {seed}" for seed in seeds)])
        writer.writerows([name, *verdicts] for name, verdicts, _ in rows)
    agree = sum(same for _, _, same in rows)
    print(f"\n{agree} of {len(rows)} claims have one verdict over {len(seeds)} seeds.")
    print(f"The table is at {path}")


def main(argv=None):
    """Run the command line; returns the exit status."""
    parser = console.parser("tools.experiments.replicate", __doc__)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--scheduler", help="address of a Dask scheduler")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--root", type=Path, default=ROOT)
    options = parser.parse_args(argv)
    if min(options.seeds) < 0:
        parser.error(f"--seeds {options.seeds}: expected whole numbers, 0 or more")
    root = options.root.resolve()
    os.environ.setdefault("UNROLLED_MNIST", "embedded")  # the same on every machine
    try:
        checkout.check_command(root, options.processes)
    except ValueError as error:
        parser.error(str(error))
    try:
        with console.alone(root / "_build" / "replicate.lock", "replication"):
            ledgers, failures = replicate(
                root, options.seeds, options.scheduler, options.processes
            )
    except NoCluster as error:
        parser.error(f"--scheduler {options.scheduler}: {error}")
    rows = table(ledgers)
    report(rows, options.seeds, root / "_build" / "replicate" / "verdicts.csv")
    for seed, page, error in failures:
        print(f"\n{page} failed for base seed {seed}:\n{error}")
    return 1 if failures or not all(same for _, _, same in rows) else 0


if __name__ == "__main__":
    console.run(main, "Interrupted; run the same command again to go on from here.")
