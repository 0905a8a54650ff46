"""What grading leaves: a table of scores, one page per student, and a summary."""

import csv
import io
import re
import statistics
from pathlib import Path

import jinja2
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

PAGES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)
# Where a cell, or a part of one that a spreadsheet with another separator takes for a
# cell, begins as a formula does, in ASCII or in the wide forms of East Asian text.
FORMULA = re.compile(r"(^|[;,|\t\r\n])(\s*)(?=[=+\-@＝＋－＠])")

# Colours that the histogram is drawn in, and that the page replaces by its own.
INK, ACCENT = "#48566b", "#004c8c"


def write(folder, assignment, results, ignored=(), *, unsafe=False):
    """Write `scores.csv`, `summary.html` and a page in `feedback` for each student.

    Args:
        folder: where to; it is made. Pages of students that are gone are removed.
        assignment: `unrolled.course.assignments.Assignment`.
        results: dict from `tools.grading.submissions.Submission` to what
            `grade.grade` returned.
        ignored: files that belong to no student, in words.
        unsafe: whether there was no sandbox.
    """
    results = dict(sorted(results.items(), key=lambda item: item[0].key))
    pages = folder / "feedback"
    pages.mkdir(parents=True, exist_ok=True)
    replace(folder / "scores.csv", scores(assignment, results, unsafe))
    page = PAGES.get_template("feedback.html")
    written = set()
    for submission, result in results.items():
        text = page.render(
            submission=submission, assignment=assignment, result=result, unsafe=unsafe
        )
        path = pages / f"{submission.page}.html"
        replace(path, text)
        written.add(path.name)
    for path in pages.glob("*.html"):
        if path.name not in written:
            path.unlink()
    graded = [r for r in results.values() if r["points"] is not None]
    points = [result["points"] for result in graded]
    text = PAGES.get_template("summary.html").render(
        assignment=assignment,
        results=results,
        graded=len(graded),
        questions=by_question(assignment, graded),
        histogram=histogram(assignment, points),
        mean=statistics.mean(points) if points else None,
        median=statistics.median(points) if points else None,
        of=sum(question.points for question in assignment.questions),
        ignored=ignored,
        unsafe=unsafe,
    )
    replace(folder / "summary.html", text)


def scores(assignment, results, unsafe=False):
    """The table of points as CSV: one row per student, one column per question.

    It begins with a byte-order mark, without which Excel garbles names.
    """
    file = io.StringIO()
    writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
    names = [question.name for question in assignment.questions]
    writer.writerow(["student", *names, "points", "of", "file", "notes"])
    for submission, result in results.items():
        ungraded = result["points"] is None
        points = [question["points"] for question in result["questions"]]
        row = [submission.student]
        row += ["" if ungraded else f"{p:g}" for p in [*points, result["points"] or 0]]
        notes = [*result["notes"], *left_out(submission)]
        notes += ["UNSAFE: graded without a sandbox."] if unsafe else []
        row += [f"{result['of']:g}", submission.file, " ".join(notes)]
        writer.writerow(map(plain, row))
    return f"\ufeff{file.getvalue()}"


def left_out(submission):
    """Which other files of a student were not graded, in words."""
    if not (submission.ignored and submission.path):
        return []
    return [f"Not graded: {', '.join(submission.ignored)}."]


def plain(text):
    """Text that no spreadsheet takes for a formula, whatever separates its cells."""
    return FORMULA.sub(r"\1\2'", text)


def by_question(assignment, results):
    """For each question: mean, points, and how many have all of them."""
    rows = []
    for number, question in enumerate(assignment.questions):
        got = [result["questions"][number]["points"] for result in results]
        rows.append({
            "name": question.name,
            "title": question.title,
            "mean": statistics.mean(got) if got else 0,
            "of": question.points,
            "whole": sum(one == question.points for one in got),
        })
    return rows


def histogram(assignment, points):
    """How many students have how many points, as SVG in the colours of the page."""
    of = sum(question.points for question in assignment.questions)
    figure = Figure(figsize=(5.4, 2.4), layout="constrained")
    ax = figure.subplots()
    edges = [number - 0.5 for number in range(int(of) + 2)]
    ax.hist(points, edges, color=ACCENT, rwidth=0.85)
    ax.set(xlabel=f"points (of {of:g})", ylabel="students")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    ax.spines[["top", "right"]].set_visible(False)
    for artist in (*ax.spines.values(), ax.xaxis.label, ax.yaxis.label):
        artist.set_color(INK)
    ax.tick_params(colors=INK)
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None}, transparent=True)
    text = file.getvalue()
    text = text.replace(INK, "currentColor").replace(ACCENT, "var(--accent)")
    return text[text.index("<svg") :]


def replace(path, text):
    """Write a file, whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8", newline="\n")
    part.replace(path)
