"""What grading leaves: a table of scores, a page a student, a summary of the class."""

import csv
import hashlib
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


def write(folder, assignment, results):
    """Write `scores.csv`, `summary.html` and `feedback/STUDENT.html`.

    Args:
        folder: where to; it is made.
        assignment: `unrolled.course.assignments.Assignment`.
        results: dict from student to what `grade.grade` returned.
    """
    pages = folder / "feedback"
    pages.mkdir(parents=True, exist_ok=True)
    replace(folder / "scores.csv", scores(assignment, results))
    page = PAGES.get_template("feedback.html")
    for student, result in results.items():
        text = page.render(student=student, assignment=assignment, result=result)
        replace(pages / f"{file_name(student)}.html", text)
    text = PAGES.get_template("summary.html").render(
        assignment=assignment,
        results=dict(sorted(results.items())),
        questions=by_question(assignment, results),
        histogram=histogram(results),
        files={student: f"feedback/{file_name(student)}.html" for student in results},
        mean=statistics.mean(result["points"] for result in results.values()),
        median=statistics.median(result["points"] for result in results.values()),
        of=next(iter(results.values()))["of"],
    )
    replace(folder / "summary.html", text)


def scores(assignment, results):
    """The table of points as CSV: a row a student, a column a question."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    names = [question.name for question in assignment.questions]
    writer.writerow(["student", *names, "points", "of", "notes"])
    for student, result in sorted(results.items()):
        points = [f"{question['points']:g}" for question in result["questions"]]
        notes = " ".join(result["notes"])
        row = [plain(student), *points, f"{result['points']:g}", f"{result['of']:g}"]
        writer.writerow([*row, plain(notes)])
    return file.getvalue()


def plain(text):
    """Text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text[:1] in "=+-@" and text else text


def by_question(assignment, results):
    """For each question: mean, points, and how many have all of them."""
    rows = []
    for number, question in enumerate(assignment.questions):
        got = [result["questions"][number] for result in results.values()]
        rows.append({
            "name": question.name,
            "title": question.title,
            "mean": statistics.mean(one["points"] for one in got),
            "of": got[0]["of"],
            "whole": sum(one["points"] == one["of"] for one in got),
        })
    return rows


def histogram(results):
    """How many students have how many points, as SVG."""
    of = next(iter(results.values()))["of"]
    points = [result["points"] for result in results.values()]
    figure = Figure(figsize=(5.4, 2.6), layout="constrained")
    ax = figure.subplots()
    edges = [number - 0.5 for number in range(int(of) + 2)]
    ax.hist(points, edges, color="#1f5f8b", rwidth=0.85)
    ax.set(xlabel=f"points of {of:g}", ylabel="students")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    ax.spines[["top", "right"]].set_visible(False)
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    return text[text.index("<svg") :]


def replace(path, text):
    """Write a file, whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def file_name(student):
    """A student's name as a file name, one for each."""
    plain = re.sub(r"[^\w.@+-]", "_", student).lstrip(".")[:80]
    if plain == student:
        return plain
    return f"{plain}-{hashlib.sha256(student.encode()).hexdigest()[:8]}"
