"""Grade a folder of submissions: what `make grade` runs.

Each submission runs in a sandbox that knows no right answer; what its functions return
for inputs drawn for it alone is compared here. Before the class, the master's own
solution must get all points in that sandbox, and an unsolved hand-out none; otherwise
nothing is graded. What is graded stays in the output folder, so an interrupted run goes
on where it stopped, and a later one grades only what is new.

    python -m tools.grading.grade a2 SUBMISSIONS --output grades
    python -m tools.grading.grade a2 SUBMISSIONS --scheduler tcp://HOST:8786

SUBMISSIONS holds a notebook for each student, or a folder for each with one in it.
"""

import hashlib
import hmac
import json
import os
import platform
import re
import secrets
import sys
import time
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path

import numpy as np
from tqdm import tqdm

import unrolled
from tools import console
from tools.cluster import NoCluster, executor
from tools.grading import cgroup, child, masters, report, sandbox, seccomp, submissions
from unrolled.course.answers import printable

HERE = Path(__file__).parent
LIBRARIES = Path(np.__file__).parents[1]
START_SECONDS = 20  # for Python, NumPy, Keras and the sandbox itself
# Seconds of a limit are of processor time, so that a busy machine takes no marks. What
# takes none, as it sleeps, is stopped after this many times as long on the clock. It
# then runs again, alone and with twice the patience, as the machine may just be slow;
# so does what was killed or ran out of memory, as the machine may have none left.
PATIENCE = 5
ATTEMPTS = 3  # where the sandbox itself fails
WORDS = 400  # characters of any one message
KNOWN = re.compile(r"(end|again|read|unreadable|cell/\d{1,5}|q\d+/(-|\d+!?))\Z")
# The first cell of the proof: looks for ways out, as a submission would, and for what
# notebooks may hold besides Python.
PROBE = """
%matplotlib inline
lines = !ls
import ctypes, os, socket

ways_out = []
if ctypes.CDLL(None).unshare(0x10000000) == 0:
    ways_out.append("make a user namespace")
if [name for _, name in socket.if_nameindex() if name != "lo"]:
    ways_out.append("see the network")
for path in ("/", "/dev", "/usr", SHOWN):
    try:
        open(os.path.join(path, "probe"), "w").close()
    except OSError:
        continue
    ways_out.append(f"write into {path}")
for what, path in HIDDEN.items():
    if os.path.exists(path):
        ways_out.append(f"see {what}")
assert not ways_out, f"a submission could {', '.join(ways_out)}"
"""


class Unproven(RuntimeError):
    """The grader does not give right marks here; says what is missing."""


def grade(assignment, submission, data, secret, script, safe, *, alone=False):
    """Grade one submission.

    Args:
        assignment: `unrolled.course.assignments.Assignment`.
        submission: `tools.grading.submissions.Submission`.
        data: bytes of the notebook.
        secret: bytes that only this run knows.
        script: source of `child.py`.
        safe: whether to run it in the sandbox.
        alone: whether nothing else runs.

    Returns:
        dict for JSON: `points`, `of`, `notes` and, by question, its cases; `again`
        says whether the machine may have stopped it, rather than a limit.

    Raises:
        sandbox.Broken: nothing is known about the submission; grade it again.
    """
    began = time.monotonic()
    drawn = draws(secret, submission.key, data)
    all_cases = {
        question.name: question.cases(np.random.default_rng([*drawn, number]))
        for number, question in enumerate(assignment.questions)
    }
    patience = (1 + alone) * PATIENCE
    outer, why = run(assignment, data, all_cases, script, safe, patience)
    frames = {
        name: (outline, blob)
        for name, outline, blob in child.unpack(outer.get("told", (b"", b""))[1])
        if KNOWN.match(name)
    }
    changed = value_of(outer.get("changed")) or {}
    given = assignment.functions()
    questions = []
    for question in assignment.questions:
        says = words(frames.get(f"{question.name}/-"))
        rows = []
        for number, case in enumerate(all_cases[question.name]):
            key = f"{question.name}/{number}"
            found = judge(question, case, frames, key, given, changed)
            right = found == ""
            rows.append({
                "name": case.name,
                "points": case.points if right else 0,
                "of": case.points,
                "says": "" if right else found or says or "gave no answer",
            })
        questions.append(of_question(question, rows))
    return {
        "points": sum(question["points"] for question in questions),
        "of": sum(question["of"] for question in questions),
        "notes": how_it_went(frames, outer, why),
        "questions": questions,
        "hash": hashlib.sha256(data).hexdigest()[:12],
        "again": "again" in frames or may_be_the_machine(outer, why),
        "seconds": round(time.monotonic() - began, 2),
    }


def may_be_the_machine(outer, why):
    """Whether what ended a submission may be a busy machine or one without memory."""
    killed = value_of(outer.get("runner")) == "signal 9"
    return (
        killed
        or why.endswith(("on the clock", "of memory"))
        or ("end" not in outer and not why)
    )


def draws(secret, key, data):
    """Seed of a submission's inputs: another run, student or file has another."""
    told = b"\0".join([hashlib.sha256(data).digest(), key])
    return np.frombuffer(hmac.digest(secret, told, "sha256"), "<u4").tolist()


def of_question(question, rows):
    """One question's part of a result."""
    return {
        "name": question.name,
        "title": question.title,
        "points": sum(row["points"] for row in rows),
        "of": question.points,
        "cases": rows,
    }


def without_answers(assignment, note, **others):
    """A result for which nothing ran: no points, or no mark where `points` is None."""
    result = {"points": 0, "notes": [note], "seconds": 0, "again": False} | others
    questions = [of_question(q, []) for q in assignment.questions]
    of = sum(question["of"] for question in questions)
    return result | {"of": of, "questions": questions}


def run(assignment, data, all_cases, script, safe, patience):
    """Run a submission's cells and its functions on all cases.

    Returns:
        `(frames of the keeper by name, why it was stopped)`.

    Raises:
        sandbox.Broken: it ended before any line of the submission ran.
    """
    seconds = START_SECONDS + assignment.seconds
    seconds += sum(question.seconds for question in assignment.questions)

    def job(**where):
        plan = where | {
            "memory": assignment.memory,
            "imports": assignment.imports,
            "given": assignment.given,
            "seconds": assignment.seconds,
            "seconds_in_all": seconds,
            "patience": patience,
            "questions": [
                {"name": q.name, "function": q.function, "seconds": q.seconds}
                for q in assignment.questions
            ],
        }
        frames = [child.pack("plan", plan), child.frame_of("notebook", b"", data)]
        for name, cases in all_cases.items():
            frames += [
                child.pack(f"{name}/{number}", case.arguments)
                for number, case in enumerate(cases)
            ]
        return b"".join(frames)

    stream, why, said = sandbox.run(
        script,
        job,
        seconds=seconds + START_SECONDS,  # the keeper's own limit comes first
        patience=patience,
        memory=assignment.memory,
        most=2 * child.MOST_BYTES,
        sandboxed=safe,
        readable=[Path(unrolled.__file__).parent],
    )
    frames = {name: (outline, blob) for name, outline, blob in child.unpack(stream)}
    if "begun" not in frames or why == sandbox.INTERRUPTED:
        raise sandbox.Broken(why or said or "it ended before it had begun")
    return frames, why


def how_it_went(frames, outer, why):
    """What happened besides the answers, in words."""
    if "unreadable" in frames and "read" not in frames:
        return [f"Nothing could be graded: {words(frames['unreadable'])}."]
    notes = [
        f"Code cell {name.partition('/')[2]} failed: {words(frame)}"
        for name, frame in frames.items()
        if name.startswith("cell/")
    ][:10]
    how = str(value_of(outer.get("runner")) or "")
    if why:
        notes.append(f"The notebook was {why}.")
    elif how == "flood":
        notes.append("The notebook was stopped because it sent too much data.")
    elif how in ("time", f"signal {sandbox.OUT_OF_TIME}"):
        notes.append("The notebook was stopped because its time had run out.")
    elif "end" not in frames:
        notes.append("The notebook ended the process that ran it.")
    return notes


def value_of(frame):
    """What the keeper sent in a frame; None if that is nothing that it sends."""
    try:
        return child.decode(*frame) if frame else None
    except ValueError:
        return None


def words(frame):
    """Words that the sandbox sent, as one short line; "" where there are none."""
    if not frame:
        return ""
    outline, blob = frame
    if blob or len(outline) > 12 * WORDS:
        return "could not be read"
    said = value_of(frame)
    return clean(said) if isinstance(said, str) else "could not be read"


def clean(text):
    """Text that can be shown and written anywhere, in one short line."""
    return " ".join(printable(text, WORDS).split())


def judge(question, case, frames, key, given, changed):
    """What is wrong with the answer to one case.

    Returns:
        "" if it is right, words, or None if there is no answer.
    """
    if f"{key}!" in frames:
        return words(frames[f"{key}!"]) or "failed"
    if key not in frames:
        return None
    if key in changed:
        return f"changed its argument {changed[key]}; expected it left as it was"
    try:
        answer = child.decode(*frames[key])
        if not isinstance(answer, dict) or set(answer) != {"got", "unchanged"}:
            raise ValueError("what came back is not an answer")
        if answer["unchanged"] is not True:
            return "changed one of its arguments; expected them left as they were"
        complaint = question.complain(case.arguments, answer["got"], given)
    except Exception as error:  # the bytes are the submission's: they may be anything
        complaint = str(error) or type(error).__name__
    return "" if complaint is None else clean(complaint) or "is wrong"


def prove(assignment, master, script, safe, hidden):
    """Grade the master's solution and an unsolved hand-out, as a class would be.

    Args:
        assignment: as in `grade`.
        master: path of the master notebook.
        script: as in `grade`.
        safe: as in `grade`.
        hidden: dict from words to the path of what no submission may see.

    Raises:
        Unproven: the first has not all points here, or the second has some.
    """
    shown = str(Path(unrolled.__file__).parent)
    probe = PROBE.replace("HIDDEN", repr(hidden)).replace("SHOWN", repr(shown))
    secret = secrets.token_bytes(32)
    proofs = {
        "solution": [*([probe] if safe else []), *masters.solved(master)],
        "unsolved hand-out": masters.unsolved(master),
    }
    for kind, cells in proofs.items():
        submission = submissions.Submission(kind, kind.encode())
        data = masters.as_notebook(cells)
        try:
            result = grade(assignment, submission, data, secret, script, safe)
            if result["again"]:
                result = grade(
                    assignment, submission, data, secret, script, safe, alone=True
                )
        except sandbox.Broken as error:
            raise Unproven(f"The sandbox does not work here: {error}") from None
        due = result["of"] if kind == "solution" else 0
        if result["points"] == due and not (due and result["notes"]):
            continue
        told = [
            f"{question['name']}, {case['name']}: {case['says'] or 'gets points'}."
            for question in result["questions"]
            for case in question["cases"]
            if (case["points"] == 0) == (due > 0)
        ]
        raise Unproven(
            f"Here the master's {kind} gets {result['points']:g} of {result['of']:g} "
            f"points; expected {due:g}. {' '.join([*result['notes'], *told])[:1000]}"
        )


def main(argv=None):
    """Run the command line; returns the exit status."""
    parser = console.parser("tools.grading.grade", __doc__)
    parser.add_argument("assignment", help="its name: a1, a2 or a3")
    parser.add_argument(
        "submissions",
        type=Path,
        help="folder with a notebook, or a folder with one inside, for each student",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("_build/grades"),
        help="folder for the table, the feedback and the summary (%(default)s)",
    )
    masters.add_option(parser)
    parser.add_argument(
        "--scheduler", help="address of a Dask cluster that grades, tcp://HOST:8786"
    )
    parser.add_argument(
        "--processes",
        type=int,
        default=os.cpu_count(),
        help="how many submissions are graded at once (one per processor)",
    )
    parser.add_argument(
        "--again", action="store_true", help="grade everyone again, with new inputs"
    )
    parser.add_argument(
        "--unsafe",
        action="store_true",
        help="grade without a sandbox: submissions can reach your files",
    )
    options = parser.parse_args(argv)
    if not re.fullmatch(r"\w+", options.assignment):
        parser.error(f"assignment {options.assignment!r}: expected a name such as a1")
    cases = options.masters / f"{options.assignment}_cases.py"
    if not cases.exists():
        there = sorted(options.masters.glob("*_cases.py"))
        known = ", ".join(path.stem.removesuffix("_cases") for path in there)
        parser.error(
            f"assignment {options.assignment!r}: there is no {cases.name} in "
            f"{options.masters}; expected one of: {known or '(none is there)'}"
        )
    if not (master := cases.with_name(f"{options.assignment}.ipynb")).exists():
        parser.error(f"assignment {options.assignment!r}: there is no {master}")
    if not options.submissions.is_dir():
        parser.error(f"submissions {str(options.submissions)!r} is not a folder")
    if not os.access(options.submissions, os.R_OK | os.X_OK):
        parser.error(f"submissions {str(options.submissions)!r} cannot be read")
    if options.processes < 1:
        parser.error(f"--processes {options.processes}: expected 1 or more")
    if options.output.resolve().is_relative_to(options.submissions.resolve()):
        parser.error(
            f"--output {str(options.output)!r} lies in the folder of submissions, "
            "where it would be taken for a student; expected another place"
        )
    module = masters.load_cases(cases)
    if not hasattr(module, "ASSIGNMENT"):
        parser.error(f"{cases} defines no ASSIGNMENT")
    found, ignored = submissions.find(options.submissions, module.ASSIGNMENT)
    if not any(submission.path for submission in found):
        names = [submission.student for submission in found]
        parser.error(
            f"submissions {str(options.submissions)!r} holds no notebook; expected "
            "NAME.ipynb, or a folder NAME with a notebook inside, for each student; "
            f"found {', '.join(submissions.few(names)) or 'nothing'}"
        )
    if options.unsafe:
        print(f"UNSAFE: this class is {sandbox.UNSAFE}.", flush=True)
    elif options.scheduler is None and (why := sandbox.missing()):
        print(
            f"Nothing was graded: {why}. To grade a class that you trust without it, "
            "add --unsafe (make grade UNSAFE=1).",
            file=sys.stderr,
        )
        return 2
    folder = options.output / options.assignment
    modules = (cgroup, child, masters, report, sandbox, seccomp, submissions, module)
    modules += (sys.modules[__name__],)
    sandbox.STOPPED.clear()
    with console.alone(folder / "grading.lock", "grading"):
        try:
            with executor(options.scheduler, options.processes, modules) as pool:
                try:
                    results = grade_all(module, found, folder, options, pool)
                except BaseException:  # the pool waits for what runs: end that first
                    sandbox.STOPPED.append(sandbox.INTERRUPTED)
                    raise
        except Unproven as error:
            print(f"Nothing was graded: {error}", file=sys.stderr)
            return 2
        except NoCluster as error:
            parser.error(str(error))
        report.write(folder, module.ASSIGNMENT, results, ignored, unsafe=options.unsafe)
    return tell(folder, results, ignored, options.unsafe)


def tell(folder, results, ignored, unsafe):
    """Print what was found; returns the exit status."""
    points = [r["points"] for r in results.values() if r["points"] is not None]
    if points:
        of = next(iter(results.values()))["of"]
        print(f"Mean:     {np.mean(points):.1f} of {of:g} points")
    print(f"Scores:   {folder / 'scores.csv'}")
    print(f"Summary:  {folder / 'summary.html'}")
    print(f"Feedback: {folder / 'feedback'}, one page per student")
    for line in submissions.few(ignored):
        print(f"Ignored:  {line}")
    empty = [submission.student for submission in results if not submission.path]
    if empty:
        print(f"No notebook, so 0 points: {', '.join(submissions.few(empty))}")
    if unsafe:
        print(f"UNSAFE: this class was {sandbox.UNSAFE}.")
    open_cases = len(results) - len(points)
    if open_cases:
        print(
            f"\nNOT GRADED: {open_cases} of {len(results)} submissions, because the "
            "grader itself failed. They have no points in the table; the same command "
            "tries them again.",
            file=sys.stderr,
        )
    return 1 if open_cases else 0


def grade_all(module, found, folder, options, pool):
    """Grade what has no result yet; returns all results by submission."""
    kept = folder / "results"
    kept.mkdir(parents=True, exist_ok=True)
    secret = run_secret(folder / "secret.json", options.again)
    version = grader_version(module, secret, options.unsafe)
    script = Path(child.__file__).read_text(encoding="utf-8")
    results, waiting = {}, []
    for submission in found:
        if submission.path is None:
            note = f"Nothing could be graded: {submission.problem}."
            results[submission] = without_answers(module.ASSIGNMENT, note)
            continue
        try:
            stamp = stamp_of(version, submission, submissions.read(submission.path))
        except (OSError, ValueError) as error:
            note = f"Nothing could be graded: {clean(why_unread(error))}."
            results[submission] = without_answers(module.ASSIGNMENT, note)
            continue
        results[submission] = load(kept / f"{submission.page}.json", stamp)
        if results[submission] is None:
            waiting.append(submission)
    print(
        f"Submissions: {len(found)}, graded before: "
        f"{sum('stamp' in (result or {}) for result in results.values())}.",
        flush=True,
    )
    if not waiting:
        return results
    common = (secret, script, not options.unsafe)
    master = options.masters / f"{options.assignment}.ipynb"
    hidden = {
        "the masters": master,
        "what others handed in": waiting[0].path,
        "the results": folder / "secret.json",
    }
    places = {what: str(path.resolve()) for what, path in hidden.items()}
    for machine in pool.machines:
        proof = machine.submit(prove, module.ASSIGNMENT, master, *common[1:], places)
        try:
            proof.result()
        except (Unproven, KeyboardInterrupt):
            raise
        except Exception as error:  # the machine is gone
            raise Unproven(f"The proof could not be run: {error}") from error
    class_ = Class(module.ASSIGNMENT, common, version, kept, pool)
    with tqdm(total=len(waiting), unit="submission") as bar:
        results |= class_.grade(waiting, bar)
    return results


class Class:
    """Grades submissions, several at a time, and keeps their results.

    Args:
        assignment: `unrolled.course.assignments.Assignment`.
        common: secret, script and whether there is a sandbox, as `grade` takes them.
        version: as `grader_version` returns it.
        kept: folder of results.
        pool: executor.
    """

    def __init__(self, assignment, common, version, kept, pool):
        self.assignment, self.common, self.version = assignment, common, version
        self.kept, self.pool = kept, pool

    def grade(self, waiting, bar):
        """Results by submission; no more of them are in memory than run."""
        results, slow, running = {}, [], {}
        todo = [(submission, 1) for submission in reversed(waiting)]
        while todo or running:
            while todo and len(running) < 2 * self.pool.at_once:
                submission, attempt = todo.pop()
                job = self.start(submission)
                running[job] = submission, attempt
            for job in wait(running, return_when=FIRST_COMPLETED).done:
                submission, attempt = running.pop(job)
                try:
                    result = job.result()
                except sandbox.Broken as error:
                    if attempt < ATTEMPTS:
                        todo.append((submission, attempt + 1))
                        continue
                    result = error
                except Exception as error:  # the grader's own fault: the others go on
                    result = error
                if isinstance(result, dict) and result["again"]:
                    slow.append(submission)
                    continue
                results[submission] = self.keep(submission, result)
                bar.update()
        for submission in slow:
            try:
                result = self.start(submission, alone=True).result()
            except Exception as error:
                result = error
            results[submission] = self.keep(submission, result)
            bar.update()
        return results

    def start(self, submission, **how):
        """Begin to grade one submission."""
        try:
            data = submissions.read(submission.path)
        except (OSError, ValueError) as error:  # it was there a moment ago
            return failed(sandbox.Broken(why_unread(error)))
        about = (self.assignment, submission, data, *self.common)
        try:
            return self.pool.submit(grade, *about, **how)
        except Exception as error:  # the cluster is gone
            return failed(error)

    def keep(self, submission, result):
        """Save a result; where the grader failed, there is none to be saved."""
        try:
            if isinstance(result, Exception):
                raise result
            data = submissions.read(submission.path)
            if hashlib.sha256(data).hexdigest()[:12] != result["hash"]:
                raise ValueError("the file was changed while it was graded")
            result["stamp"] = stamp_of(self.version, submission, data)
            save(self.kept / f"{submission.page}.json", result)
        except Exception as error:
            why = clean(f"{type(error).__name__}: {error}")
            note = f"NOT GRADED: the grader itself failed ({why}). Grade again."
            return without_answers(self.assignment, note, points=None)
        return result


def failed(error):
    """A job that has failed before it began."""
    job = Future()
    job.set_exception(error)
    return job


def why_unread(error):
    """Why a file could not be read, in words."""
    return str(getattr(error, "strerror", None) or error)


def run_secret(path, again):
    """Secret of this output folder; kept, so that a run that goes on asks the same."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))["secret"]
        if not again:
            return bytes.fromhex(kept)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    secret = secrets.token_bytes(32)
    save(path, {"secret": secret.hex()})
    return secret


def grader_version(module, secret, unsafe):
    """Hash of all that decides on marks, besides the submission."""
    package = Path(unrolled.__file__).parent
    files = [Path(module.__file__), *HERE.glob("*.py")]
    files += [package / "course" / name for name in ("answers.py", "assignments.py")]
    texts = [path.read_bytes() for path in sorted(files)]
    packages = sorted(path.name for path in LIBRARIES.glob("*.dist-info"))
    where = f"{platform.python_version()} {packages} {unsafe}".encode()
    return hashlib.sha256(b"\0".join([secret, where, *texts])).digest()


def stamp_of(version, submission, data):
    """What a result is a result of: grader, student, file and what else was there."""
    about = repr((submission.file, submission.ignored)).encode()
    told = [version, submission.key, hashlib.sha256(data).digest(), about]
    return hashlib.sha256(b"\0".join(told)).hexdigest()


def load(path, stamp):
    """A result kept earlier, if it is of the same submission and grader; else None."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        return result if result["stamp"] == stamp else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save(path, content):
    """Write JSON, whole or not at all."""
    report.replace(path, json.dumps(content, indent=1))


if __name__ == "__main__":
    console.run(main, "Interrupted; the same command continues from here.")
