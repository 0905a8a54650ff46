"""What lies in a folder of submissions: which notebook is whose, and what is none."""

import dataclasses
import hashlib
import os
import re
import stat
from pathlib import Path

NOTEBOOK_BYTES = 10 << 20
DEEPEST = 6  # folders below a student's, and
MOST_ENTRIES = 2000  # in all of them, that are looked at
MOST_NAMED = 10  # ignored files that are named
NOTEBOOK = re.compile(r"\.ipynb(\.txt|\.json)?\Z", re.IGNORECASE)
# No student's: what systems and teachers leave beside submissions.
CLUTTER = re.compile(r"(\.|__MACOSX\Z|Thumbs\.db\Z|desktop\.ini\Z)", re.IGNORECASE)
TEACHERS = re.compile(r"(readme.*|.*\.(csv|tsv|xlsx?|ods|log|md))\Z", re.IGNORECASE)
# What a hand-out has where an answer goes, as a line of JSON, or a part of one.
UNANSWERED = re.compile(rb'(?:"|\\n)(?: |\\t)*\.\.\. *(?="|\\n|\\r)')
PROGRAMS = ("node_modules", "site-packages", "__pycache__")


@dataclasses.dataclass(frozen=True)
class Submission:
    """What one student handed in.

    Attributes:
        student: the name, as it is shown.
        key: the name as the system has it.
        path: of the notebook that is graded, or None.
        file: the same, in words, as seen from the folder of submissions.
        ignored: what else was there and why it is not graded, in words.
        problem: why there is nothing to grade, in words, or "".
    """

    student: str
    key: bytes
    path: Path | None = None
    file: str = ""
    ignored: tuple[str, ...] = ()
    problem: str = ""

    @property
    def page(self):
        """A name for files about this student; no two students share one."""
        plain = re.sub(r"[^\w.@+-]", "_", self.student).strip(".")
        short = plain.encode()[:100].decode(errors="ignore")
        return f"{short}-{hashlib.sha256(self.key).hexdigest()[:12]}"


def find(folder, assignment):
    """Everything in a folder of submissions.

    Args:
        folder: holds `NAME.ipynb` or a folder `NAME` for each student.
        assignment: `unrolled.course.assignments.Assignment`: of several notebooks of
            one student, the one that comes from its hand-out counts.

    Returns:
        `(submissions, ignored)`: list of `Submission`; and files that belong to no
        student, in words.
    """
    notebooks, others, ignored = {}, {}, []
    for entry in entries_of(folder):
        path, name = Path(entry.path), entry.name
        if CLUTTER.match(name):
            ignored.append(f"{shown(name)} (hidden, or left by the system)")
        elif entry.is_symlink():
            others.setdefault(name_of(name), []).append((path, "a link, not a file"))
        elif entry.is_dir():
            inside, rest = look_into(path)
            notebooks.setdefault(name, []).extend(inside)
            others.setdefault(name, []).extend(rest)
        elif NOTEBOOK.search(name) and entry.is_file():
            notebooks.setdefault(name_of(name), []).append(path)
        elif TEACHERS.match(name):
            ignored.append(f"{shown(name)} (not a notebook)")
        else:
            others.setdefault(name_of(name), []).append((path, why_not(path)))
    students = sorted({*notebooks, *others}, key=os.fsencode)
    found = []
    for student in students:
        candidates, rest = notebooks.get(student, []), others.get(student, [])
        found.append(choose(student, candidates, rest, folder, assignment))
    return found, ignored


def entries_of(folder):
    """What a folder holds, in the order of names."""
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: os.fsencode(entry.name))


def name_of(file):
    """A student's name from that of a file."""
    return NOTEBOOK.sub("", file) if NOTEBOOK.search(file) else Path(file).stem


def look_into(folder):
    """Notebooks below a folder; and what else is there, with the reason.

    Returns:
        `(paths, [(path, why it is not graded)])`.
    """
    notebooks, others, waiting, left = [], [], [(folder, 0)], MOST_ENTRIES
    while waiting:
        here, depth = waiting.pop(0)
        try:
            entries = entries_of(here)
        except OSError as error:
            others.append((here, f"could not be read: {error.strerror}"))
            continue
        for entry in entries:
            path, left = Path(entry.path), left - 1
            if left < 0:
                others.append((here, "holds more files than are looked at"))
                return notebooks, others
            if CLUTTER.match(entry.name) or entry.name in PROGRAMS:
                continue
            if entry.is_symlink():
                others.append((path, "a link, not a file"))
            elif entry.is_dir():
                if depth == DEEPEST:
                    others.append((path, "too deep in folders"))
                elif not (path / "pyvenv.cfg").exists():  # an environment's packages
                    waiting.append((path, depth + 1))
            elif NOTEBOOK.search(entry.name) and entry.is_file():
                notebooks.append(path)
            else:
                others.append((path, why_not(path)))
    return notebooks, others


def why_not(path):
    """Why a file is not a notebook."""
    kind = path.suffix.lower()
    if kind in (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"):
        return "an archive: unpack it"
    return "not a notebook"


def choose(student, candidates, others, folder, assignment):
    """The notebook that counts, and words about all the others."""
    names = {
        path: shown(path.relative_to(folder).as_posix())
        for path in [*candidates, *(path for path, _ in others)]
    }
    ignored = [f"{names[path]} ({why})" for path, why in others]
    about = {"student": shown(student), "key": os.fsencode(student)}
    if not candidates:
        problem = f"there is no notebook{'; found ' if ignored else ''}"
        problem += ", ".join(ignored[:MOST_NAMED])
        return Submission(**about, ignored=few(ignored), problem=problem)
    if len(candidates) == 1:  # nothing to choose from, nothing to read
        ranked = [(None, candidates[0])]
    else:
        ranked = [(rank(one, assignment), one) for one in candidates[:MOST_ENTRIES]]
    best, path = max(ranked, key=lambda one: one[0])
    for other_rank, other in ranked:
        if other != path:
            why = "not from this hand-out"
            if other_rank[:2] == best[:2]:
                why = "another one from this hand-out"
                if other_rank[2] < best[2]:
                    why = "has more left to answer"
            elif other_rank[0] == best[0]:
                why = "has fewer of its functions"
            ignored.append(f"{names[other]} ({why})")
    return Submission(**about, path=path, file=names[path], ignored=few(ignored))


def few(words):
    """No more than a reader wants to see."""
    rest = len(words) - MOST_NAMED
    more = [f"and {rest} more"] if rest > 0 else []
    return tuple([*words[:MOST_NAMED], *more])


def rank(path, assignment):
    """How likely a notebook is the one to grade; the larger, the likelier.

    The hand-out names itself in its first cell: `Grader("a1")`. Then count functions
    that it asks for, then how few of them are left as they were handed out, then the
    file's own name, then its age.
    """
    try:
        data = read(path)
    except (OSError, ValueError):
        data = b""
    mark = rb"Grader\(\s*\\?[\"']" + assignment.name.encode() + rb"\\?[\"']"
    named = [
        re.search(rb"def\s+" + question.function.encode() + rb"\s*\(", data)
        for question in assignment.questions
    ]
    try:
        age = path.stat().st_mtime
    except OSError:
        age = 0
    return (
        re.search(mark, data) is not None,
        sum(match is not None for match in named),
        -len(UNANSWERED.findall(data)),
        path.stem.casefold() == assignment.name.casefold(),
        age,
    )


def read(path):
    """Bytes of a notebook.

    Raises:
        ValueError: it is not a plain file, or larger than NOTEBOOK_BYTES.
        OSError: it cannot be read.
    """
    flags = [getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY")]
    number = os.open(path, os.O_RDONLY | sum(flags))
    with open(number, "rb") as file:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise ValueError("what was handed in is not a plain file")
        data = file.read(NOTEBOOK_BYTES + 1)
    if len(data) > NOTEBOOK_BYTES:
        raise ValueError(f"the file is larger than {NOTEBOOK_BYTES >> 20} MB")
    return data


def shown(name):
    """A name that can be shown and written anywhere."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return text if len(text) <= 200 else f"{text[:199]}…"
