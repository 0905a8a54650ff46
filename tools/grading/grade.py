"""Grade a folder of submissions: what `make grade` runs.

Each submission runs in a sandbox that knows no right answer; what its functions return
for inputs drawn anew is compared here. What is graded stays in the output folder, so an
interrupted run goes on where it stopped, and a later one grades only what is new.

    python -m tools.grading.grade a2 SUBMISSIONS --output grades
    python -m tools.grading.grade a2 SUBMISSIONS --scheduler tcp://HOST:8786

SUBMISSIONS holds a notebook for each student, or a folder for each with one in it.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import re
import secrets
import sys
import time
from concurrent.futures import as_completed
from pathlib import Path

import numpy as np
from tqdm import tqdm

import unrolled
from tools.cluster import executor
from tools.grading import child, report, sandbox
from unrolled.course.assignments import Given

HERE = Path(__file__).parent
MASTERS = HERE.parents[1] / "book" / "assignments"
NOTEBOOK_BYTES = 10 << 20
MOST_BYTES = 1 << 26  # of answers, from one submission
START_SECONDS = 5  # for Python, NumPy and the sandbox itself
# Seconds of a limit are of processor time, so that a busy machine takes no marks. What
# takes none, as it sleeps, is stopped after this many times as long on the clock.
PATIENCE = 10
SKIPPED = re.compile(r"\s*# experiment\b")
KNOWN = re.compile(r"(end|cell/\d{1,4}|q\d+/(-|\d+!?))\Z")
MAGIC = re.compile(r"^(\s*)[%!?].*$", re.MULTILINE)


class Unreadable(ValueError):
    """A submission that is no notebook in Python."""


def find_submissions(folder, name):
    """Paths of notebooks by student: `NAME.ipynb`, or the notebook in folder `NAME`.

    Args:
        folder: of all submissions.
        name: of the assignment; of several notebooks in one folder, that one counts.
    """
    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix == ".ipynb" and not path.is_dir():
            found[path.stem] = path
        elif path.is_dir() and not path.name.startswith("."):
            inside = sorted(path.rglob("*.ipynb"))
            inside = [p for p in inside if ".ipynb_checkpoints" not in p.parts]
            named = [p for p in inside if p.name == f"{name}.ipynb"] or inside
            student = path.name if path.name not in found else f"{path.name} (folder)"
            found[student] = named[0] if named else path / f"{name}.ipynb"
    return found


def read_cells(data):
    """Numbered code cells of a notebook that the grader runs.

    Args:
        data: bytes of the file.

    Returns:
        list of `(number, source)`; lines for the notebook's shell are left out.

    Raises:
        Unreadable: says why.
    """
    if len(data) > NOTEBOOK_BYTES:
        raise Unreadable(f"the file is larger than {NOTEBOOK_BYTES >> 20} MB")
    if not data.strip():
        raise Unreadable("the file is empty")
    try:
        notebook = json.loads(data)
        cells = notebook["cells"]
        kernel = notebook.get("metadata", {}).get("kernelspec", {})
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        sources = ["".join(cell["source"]) for cell in code]
        language = str(kernel.get("language", "python")).lower()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unreadable(f"the file is no notebook ({type(error).__name__})") from None
    if language != "python":
        raise Unreadable(f"the notebook's kernel is for {language}; expected python")
    return [
        (number, MAGIC.sub(r"\1pass", source))
        for number, source in enumerate(sources, 1)
        if not SKIPPED.match(source) and not source.startswith("%%")
    ]


def grade(assignment, data, seed, script):
    """Grade one submission.

    Args:
        assignment: `unrolled.course.assignments.Assignment`.
        data: bytes of the notebook; None where there is none.
        seed: of the inputs.
        script: source of `child.py`.

    Returns:
        dict for JSON: `points`, `of`, `notes` and, by question, its cases.
    """
    began = time.monotonic()
    all_cases = {
        question.name: question.cases(np.random.default_rng([seed, number]))
        for number, question in enumerate(assignment.questions)
    }
    notes, frames, whole = [], {}, sandbox.has_bubblewrap()
    try:
        if data is None:
            raise Unreadable("there is no notebook")
        cells = read_cells(data)
    except Unreadable as error:
        notes.append(f"Nothing could be graded: {error}.")
    else:
        stream, why = run(assignment, cells, all_cases, script, whole)
        frames = {name: (outline, blob) for name, outline, blob in child.unpack(stream)}
        frames = {name: frame for name, frame in frames.items() if KNOWN.match(name)}
        notes += how_it_went(frames, why)
    given = assignment.functions()
    questions = []
    for question in assignment.questions:
        says = words(frames.get(f"{question.name}/-"))
        rows = [
            judge(question, case, frames, f"{question.name}/{number}", given, says)
            for number, case in enumerate(all_cases[question.name])
        ]
        questions.append({
            "name": question.name,
            "title": question.title,
            "points": sum(row["points"] for row in rows),
            "of": sum(row["of"] for row in rows),
            "cases": rows,
        })
    return {
        "points": sum(question["points"] for question in questions),
        "of": sum(question["of"] for question in questions),
        "notes": notes,
        "questions": questions,
        "sandboxed": whole,
        "seconds": round(time.monotonic() - began, 2),
    }


def run(assignment, cells, all_cases, script, sandboxed):
    """Run a submission's cells and its functions on all cases; see `sandbox.run`."""
    seconds = START_SECONDS + assignment.seconds
    seconds += sum(question.seconds for question in assignment.questions)
    limits = {"seconds": seconds, "patience": PATIENCE, "memory": assignment.memory}

    def job(**where):
        plan = where | {"memory": assignment.memory, "seconds_in_all": seconds}
        plan |= {"given": assignment.given, "seconds": assignment.seconds}
        plan["patience"] = PATIENCE
        plan["cells"] = cells
        plan["questions"] = [
            {"name": q.name, "function": q.function, "seconds": q.seconds}
            for q in assignment.questions
        ]
        frames = [child.pack("plan", plan)]
        for name, cases in all_cases.items():
            frames += [
                child.pack(f"{name}/{number}", case.arguments)
                for number, case in enumerate(cases)
            ]
        return b"".join(frames)

    return sandbox.run(
        script,
        job,
        most=MOST_BYTES,
        sandboxed=sandboxed,
        readable=[Path(unrolled.__file__).parent],
        **limits,
    )


def how_it_went(frames, why):
    """What happened besides the answers, in words."""
    notes = [
        f"Code cell {name.partition('/')[2]} failed: {words(frame)}"
        for name, frame in frames.items()
        if name.startswith("cell/")
    ][:10]
    if why:
        notes.append(f"The notebook was {why}.")
    elif "end" not in frames:
        notes.append("The notebook ended the process that ran it.")
    return notes


def words(frame):
    """Words that the sandbox sent, as one short line; "" where there are none."""
    try:
        text = str(child.decode(*frame)) if frame else ""
    except Exception:  # a frame may hold anything
        return "could not be read"
    return re.sub(r"[^\x20-\x7e\xa0-\uffff]+", " ", text)[:400]


def judge(question, case, frames, key, given, says):
    """Compare one answer with the reference."""
    row = {"name": case.name, "points": 0, "of": case.points}
    if f"{key}!" in frames:
        return row | {"says": words(frames[f"{key}!"])}
    if key not in frames:
        return row | {"says": says or "no answer came"}
    try:
        answer = child.decode(*frames[key])
        if not isinstance(answer, dict) or not isinstance(answer.get("left"), dict):
            raise ValueError("what came back is not an answer")
        complaint = changed(case.arguments, answer["left"]) or question.complain(
            case.arguments, answer["got"], given
        )
    except Exception as error:  # the bytes are the submission's: they may be anything
        complaint = str(error)[:400] or type(error).__name__
    if complaint is not None:
        return row | {"says": complaint}
    return row | {"points": case.points, "says": ""}


def changed(before, after, name=""):
    """Which argument the function left changed, in words, or None."""
    if isinstance(before, Given):
        return None
    if isinstance(before, (tuple, list)):
        before, after = dict(enumerate(before)), dict(enumerate(after or ()))
    if isinstance(before, dict):
        parts = (
            changed(part, after.get(key), name or key) for key, part in before.items()
        )
        return next(filter(None, parts), None)
    if not isinstance(before, np.ndarray):
        return None
    after = np.asarray(None if after is None else after)
    numbers = before.dtype.kind == "f" and after.dtype.kind == "f"
    if np.array_equal(before, after, equal_nan=numbers):
        return None
    return f"changed its argument {name}; expected it left as it was"


def main(argv=None):
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("assignment", help="name: a1, a2 or a3")
    parser.add_argument("submissions", type=Path, help="folder of submissions")
    parser.add_argument("--output", type=Path, default=Path("_build/grades"))
    parser.add_argument("--masters", type=Path, default=MASTERS)
    parser.add_argument("--scheduler", help="address of a Dask scheduler")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--again", action="store_true", help="grade all with new seeds")
    options = parser.parse_args(argv)
    cases = options.masters / f"{options.assignment}_cases.py"
    if not cases.exists():
        parser.error(f"assignment {options.assignment!r}: there is no {cases}")
    if not options.submissions.is_dir():
        parser.error(f"submissions {str(options.submissions)!r} is no folder")
    found = find_submissions(options.submissions, options.assignment)
    if not any(path.exists() for path in found.values()):
        parser.error(f"submissions {str(options.submissions)!r} holds no notebook")
    module = load_cases(cases)
    folder = options.output / options.assignment
    results = grade_all(module, found, folder, options)
    report.write(folder, module.ASSIGNMENT, results)
    mean = np.mean([result["points"] for result in results.values()])
    print(f"Mean:     {mean:.1f} of {next(iter(results.values()))['of']:g} points")
    print(f"Scores:   {folder / 'scores.csv'}")
    print(f"Summary:  {folder / 'summary.html'}")
    print(f"Feedback: {folder / 'feedback'}, a page a student")
    for line in sandbox.missing(all(r["sandboxed"] for r in results.values())):
        print(f"\nWARNING: {line}")
    return 0


def load_cases(path):
    """The module of an assignment's cases, `NAME_cases.py`, wherever it lies."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def grade_all(module, found, folder, options):
    """Grade what has no result yet; returns all results by student."""
    kept = folder / "results"
    kept.mkdir(parents=True, exist_ok=True)
    seed = run_seed(folder / "seed.json", options.again)
    version = grader_version(module, seed)
    script = Path(child.__file__).read_text(encoding="utf-8")
    results, waiting = {}, {}
    for student, path in found.items():
        data = read_file(path, options.submissions)
        stamp = hashlib.sha256(version + (data or b"")).hexdigest()
        results[student] = load(kept / f"{report.file_name(student)}.json", stamp)
        if results[student] is None:
            waiting[student] = data, stamp
    done = len(found) - len(waiting)
    print(f"Submissions: {len(found)}, graded before: {done}.")
    modules = (child, sandbox, report, module, sys.modules[__name__])
    with executor(options.scheduler, options.processes, modules) as pool:
        jobs = {
            pool.submit(grade, module.ASSIGNMENT, data, seed, script): student
            for student, (data, _) in waiting.items()
        }
        bar = tqdm(as_completed(jobs), total=len(jobs), unit="submission")
        for job in bar:
            student = jobs[job]
            try:
                result = job.result() | {"stamp": waiting[student][1]}
            except Exception as error:  # the grader's own fault: the others go on
                results[student] = failed(module.ASSIGNMENT, error)
                continue
            save(kept / f"{report.file_name(student)}.json", result)
            results[student] = result
    return results


def failed(assignment, error):
    """A result without points that is not kept: the next run tries again."""
    note = f"The grader itself failed ({type(error).__name__}: {error}); run it again."
    questions = [
        {"name": q.name, "title": q.title, "points": 0, "of": q.points, "cases": []}
        for q in assignment.questions
    ]
    of = sum(question["of"] for question in questions)
    result = {"points": 0, "of": of, "notes": [note], "questions": questions}
    return result | {"sandboxed": True, "seconds": 0}


def read_file(path, folder):
    """Bytes of a submission, no more than it takes to refuse it; None without one.

    A link out of the folder of submissions counts as none: it may lead to the master.
    """
    try:
        if not path.is_file() or folder.resolve() not in path.resolve().parents:
            return None
        with path.open("rb") as file:
            return file.read(NOTEBOOK_BYTES + 1)
    except OSError:
        return None


def run_seed(path, again):
    """Secret seed of this run; kept, so that a run that goes on asks all the same."""
    if again or not path.exists():
        save(path, {"seed": secrets.randbits(63)})
    return json.loads(path.read_text(encoding="utf-8"))["seed"]


def grader_version(module, seed):
    """Hash of all that decides on marks, besides the submission."""
    package = Path(unrolled.__file__).parent
    files = [Path(module.__file__), *HERE.glob("*.py")]
    files += [package / "course" / name for name in ("answers.py", "assignments.py")]
    texts = [path.read_bytes() for path in sorted(files)]
    return hashlib.sha256(b"\0".join([str(seed).encode(), *texts])).digest()


def load(path, stamp):
    """A result kept earlier, if it is of the same submission and grader; else None."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return result if result.get("stamp") == stamp else None


def save(path, content):
    """Write JSON, whole or not at all."""
    report.replace(path, json.dumps(content, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Interrupted; the same command goes on from here.")
