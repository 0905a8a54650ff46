"""Every notebook: clean, in the contents, executed, with exercises that work."""

import ast
import importlib.util
import re
import shlex
import statistics
import subprocess
import sys
import tomllib
import types

import nbformat
import pytest
import yaml
from IPython.core.inputtransformer2 import TransformerManager
from packaging.requirements import Requirement

from tests.conftest import PAGES, ROOT, read_page
from tools.site.extension import UNNAMED, name_code
from unrolled.course import expect_answer

TEACHING = [page for page in PAGES if re.search(r"/\d+-[^/]+$", page)]
TEMPLATE = ".github/page-template.ipynb"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def code_cells(page):
    return [cell for cell in read_page(page) if cell["cell_type"] == "code"]


FIRST = code_cells(TEMPLATE)[0]["source"]


def prose(page):
    return [
        cell["source"] for cell in read_page(page) if cell["cell_type"] == "markdown"
    ]


@pytest.mark.parametrize("page", PAGES)
def test_no_outputs_in_git(page):
    for cell in code_cells(page):
        assert cell["outputs"] == [] and cell["execution_count"] is None
    notebook = nbformat.read(ROOT / page, 4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert "widgets" not in notebook.metadata


def test_contents_and_pages_agree():
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))

    def files(entry):
        yield from filter(None, [entry.get("root"), entry.get("file")])
        for kind in ("parts", "chapters", "sections"):
            for child in entry.get(kind, []):
                yield from files(child)

    listed = list(files(contents))
    texts = [p.relative_to(ROOT).as_posix() for p in (ROOT / "book").rglob("*.md")]
    assert sorted(listed) == sorted(p.rpartition(".")[0] for p in [*PAGES, *texts])
    assert len(set(listed)) == len(listed)


@pytest.mark.parametrize("page", TEACHING)
def test_the_chapter_opens_with_its_pages(page):
    """The opener's table has each page's title and question, word for word."""
    folder, _, name = page.rpartition("/")
    title, _, question = prose(page)[0].splitlines()[:3]
    number = f"{folder.rpartition('/')[2][0]}.{name.partition('-')[0]}"
    row = f"| [{number} {title[2:]}]({name}) | {question.strip('*')} |"
    assert row in "\n".join(prose(f"{folder}/index.ipynb")).splitlines()


@pytest.mark.usefixtures("executed")
def test_every_page_has_run():
    """nbmake runs them for `make book`; this says whether what it left is of today."""
    command = [sys.executable, "-m", "tools.site.build", "--check"]
    run = subprocess.run(
        command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("page", PAGES)
def test_the_run_left_no_error(executed, page):
    for cell in nbformat.read(executed / page, 4).cells:
        if cell.cell_type == "code":
            assert cell.execution_count is not None
            assert not [o for o in cell.outputs if o.output_type == "error"]


def drawings(cell):
    """The SVG figures among what an executed cell shows."""
    shown = (output.get("data", {}) for output in cell.get("outputs", ()))
    return [data["image/svg+xml"] for data in shown if "image/svg+xml" in data]


def letters_on_a_phone(svg, column=358):
    """The smallest letters of a figure, in pixels, where a screen is 390 of them wide.

    Matplotlib draws each letter from a form of size 100.
    """
    width = float(re.search(r'width="([\d.]+)pt"', svg)[1])
    sizes = [float(size) for size in re.findall(r"scale\((0\.[\d.]+) -", svg)]
    return 100 * min(sizes, default=1) * column / width


@pytest.mark.parametrize("page", PAGES)
def test_figures_can_be_read_on_a_phone(executed, page):
    """Too small? Make the figure narrower, and put its panels below one another."""
    for cell in nbformat.read(executed / page, 4).cells:
        for svg in drawings(cell):
            assert letters_on_a_phone(svg) > 7.8, cell["source"]


def test_small_letters_are_found():
    svg = '<svg width="397pt"><g transform="scale(0.{} -0.1)"></g></svg>'
    assert letters_on_a_phone(svg.format("105")) > 9
    assert letters_on_a_phone(svg.format("08")) < 7.8


@pytest.mark.parametrize("page", PAGES)
def test_a_caption_stands_below_its_figure(executed, page):
    """Below it, and before anything else, such as a table; those of tables likewise."""
    shown = ""  # the kind of what a cell has shown last
    for cell in nbformat.read(executed / page, 4).cells:
        if cell["cell_type"] == "code":
            for output in cell["outputs"]:
                data = output.get("data", {})
                text = data.get("text/markdown", "")
                image = any(kind.startswith("image/") for kind in data)
                pandas = re.search(
                    'class="dataframe"|id="T_', data.get("text/html", "")
                )
                table = pandas or "| --- |" in text
                shown = "Figure" if image else "Table" if table else "text"
            continue
        for text in cell["source"].split("\n\n"):
            caption = re.match(r"\*(Figure|Table) \d", text)
            if caption and shown in ("Figure", "Table"):
                assert caption[1] == shown, text
            if not caption and text.strip():
                shown = "Figure" if text.startswith("![") else "text"


@pytest.mark.parametrize("page", TEACHING)
def test_shape_of_a_page(page):
    text = "\n".join(prose(page))
    assert re.search(r"\A# .+\n\n\*\*.+\?\*\*$", prose(page)[0], re.MULTILINE), (
        "no question"
    )
    for row in ("You will", "You need", "Takes"):
        assert f"| **{row}** |" in prose(page)[0]
    assert "## What we measured" in text
    assert len(re.findall(r"^### Exercise \d\.\d+\.\d: ", text, re.MULTILINE)) >= 3
    sources = [cell["source"] for cell in code_cells(page)]
    assert any("base_seed()" in source for source in sources), "no UNROLLED_SEED"


@pytest.mark.parametrize("page", PAGES)
def test_the_first_cell_looks_for_the_package(page):
    """In every page it is the template's, word for word."""
    cells = code_cells(page)
    if cells:
        assert cells[0]["source"] == FIRST
        assert cells[0]["metadata"]["tags"] == ["remove-cell"]  # no use on the site


def package(line):
    """What a line of pip's asks for: it is at the tag of this version."""
    wanted = line.split()[-1]
    if "@" not in wanted:
        wanted = f"unrolled@{wanted}"
    wanted = Requirement(wanted)
    url = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))["repository"]["url"]
    assert wanted.name == "unrolled"
    assert wanted.url == f"{url}/archive/v{PROJECT['version']}.zip"
    assert wanted.extras <= set(PROJECT["optional-dependencies"])
    return wanted


def test_in_colab_the_first_cell_installs_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    typed = []
    shell = types.SimpleNamespace(run_line_magic=lambda *words: typed.append(words))
    exec(TransformerManager().transform_cell(FIRST), {"get_ipython": lambda: shell})
    [(magic, line)] = typed
    assert magic == "pip" and shlex.split(line)[:-1] == ["install", "-q"]
    assert not package(line).extras  # Colab has the rest


def test_without_the_package_the_first_cell_says_what_to_type(monkeypatch):
    first = TransformerManager().transform_cell(FIRST)
    exec(first, {})  # the package is here: nothing happens
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError) as told:
        exec(first, {})
    [line] = re.findall(r"%pip install \S+", str(told.value))
    assert package(line).extras == {"book"}


def test_colab_keeps_its_own_numpy_and_tensorflow():
    """The package asks for nothing that Colab would have to replace."""
    asked = [*map(Requirement, PROJECT["dependencies"])]
    # A new mlxtend asks for new versions of half of what is there.
    assert not {"tensorflow", "keras", "mlxtend"} & {part.name for part in asked}
    # The oldest that TensorFlow 2.18, of 2024, came with there.
    had = {
        "numpy": "2.0.2",
        "scipy": "1.13.1",
        "matplotlib": "3.10.0",
        "tqdm": "4.67.1",
    }
    for part in asked:
        if part.name in had:
            assert part.specifier.contains(had[part.name]), part


@pytest.mark.parametrize("page", PAGES)
def test_plain_markdown_only(page):
    """What Jupyter, GitHub and Colab would show raw is not used."""
    for text in prose(page):
        outside = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
        assert not re.search(r"^(```|:::)\{", text, re.MULTILINE)
        assert not re.search(r"\{(numref|glue|ref|eq|doc|cite)[\w:]*\}", outside)
        assert not re.search(r"</?[a-z]+[^>]*>", outside), "raw HTML"


@pytest.mark.parametrize("page", PAGES)
def test_no_measured_number_in_prose(page):
    """Percentages and decimals are printed by cells; formulas hold arithmetic."""
    for text in prose(page):
        words = re.sub(
            r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|\[[^\]]*\]\([^)]*\)",
            "",
            text,
            flags=re.DOTALL,
        )
        found = re.findall(r"\d+(?:\.\d+)? ?%|\b0\.\d+", words)
        found = [number for number in found if number != "95%"]
        assert not found, found


@pytest.mark.parametrize("page", TEACHING)
def test_cells_are_short(page):
    _, *own = code_cells(page)  # the first is the same everywhere
    lengths = [len(cell["source"].splitlines()) for cell in own]
    assert max(lengths) <= 22, "split the longest cell"
    assert statistics.median(lengths) <= 11


@pytest.mark.parametrize("page", PAGES)
def test_folded_code_says_what_it_does(page):
    """In its first comment, which stands above the fold on the site."""
    for cell in code_cells(page):
        if {"hide-input", "hide-cell"} & set(cell["metadata"].get("tags", ())):
            assert name_code(cell["source"]) != UNNAMED, cell["source"]


@pytest.mark.parametrize("page", PAGES)
def test_figures_have_alternative_text(page):
    for cell in code_cells(page):
        if "plt.show()" in cell["source"]:
            alt = cell["metadata"].get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(alt) > 40, f"no alternative text for:\n{cell['source']}"


def exercises(page):
    """The answer, solution and check cells of each exercise of a page, in order."""
    found = []
    for cell in read_page(page):
        source = cell["source"]
        if cell["cell_type"] == "markdown":
            if re.search(r"^### Exercise", source, re.MULTILINE):
                found.append([])
            elif found and source.startswith("## "):  # what follows the exercises
                break
        elif cell["cell_type"] == "code" and found:
            found[-1].append(cell)
    return found


def to_answer(cell):
    """The names that an answer cell leaves empty."""
    return re.findall(r"^(\w+) = \.\.\.", cell["source"], re.MULTILINE)


def calls(node, name):
    return isinstance(node, ast.Call) and ast.unparse(node.func) == name


def marked(source):
    """The names that a solution cell fills in by way of `solution`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign) and calls(node.value, "solution"):
            yield ast.unparse(node.targets[0])
        elif "solution" in map(ast.unparse, getattr(node, "decorator_list", [])):
            yield node.name


@pytest.mark.parametrize("page", TEACHING)
def test_solutions_are_folded_and_leave_answers_alone(page):
    assert len(exercises(page)) >= 3
    for answer, solution, check in exercises(page):
        empty = to_answer(answer)
        assert empty, "nothing to answer"
        # A fold in JupyterLab shows the first line: it must not tell.
        assert re.match(r"# @title Solution\n# \S", solution["source"])
        for folded in (solution, check):  # on the site: both would spoil the prediction
            assert "hide-cell" in folded["metadata"]["tags"]
        assert solution["metadata"]["jupyter"]["source_hidden"]  # folds in JupyterLab
        assert solution["metadata"]["cellView"] == "form"  # folds in Colab
        assert "source_hidden" not in check["metadata"].get("jupyter", {})
        assert sorted(marked(solution["source"])) == sorted(empty)
        for name in empty:
            guard = f"if {name} is ... and use_solutions:"
            assert guard in solution["source"], f"overwrites {name}"
            first = check["source"].partition(")")[0]
            assert f"{name}={name}" in first, f"does not check {name}"


@pytest.mark.parametrize("page", TEACHING)
def test_checks_fail_on_an_empty_answer(page):
    """Each check cell, run with an empty answer and nothing but helpers, refuses."""
    helpers = {"expect_answer": expect_answer}
    for answer, _, check in exercises(page):
        names = to_answer(answer)
        assert check["source"].startswith("expect_answer(")
        for name in names:
            others = {other: 1 for other in names if other != name}
            with pytest.raises(AssertionError, match="empty"):
                exec(check["source"], others | {name: ..., **helpers})


@pytest.mark.parametrize("page", TEACHING)
def test_checks_end_by_saying_that_the_answer_is_right(page):
    for answer, _, check in exercises(page):
        tree = ast.parse(check["source"])
        nodes = list(ast.walk(tree))
        assert calls(tree.body[-1].value, "say_right")
        assert sum(calls(node, "say_right") for node in nodes) == 1
        # An answer that the check has converted would pass for the student's own.
        stored = {node.id for node in nodes if isinstance(node, ast.Name)
                  and isinstance(node.ctx, ast.Store)}  # fmt: skip
        assert not stored & set(to_answer(answer))
        # True has a twin in NumPy, and 1.0 is a right 1.
        exact = (
            r"\bis (not )?(True|False)\b|\btype\(.*?(==|\bis\b) (int|float|bool|list)"
        )
        assert not re.search(exact, check["source"])


@pytest.mark.parametrize("page", TEACHING)
def test_an_untouched_page_calls_no_answer_right(executed, page):
    """`Run all` says of each exercise that the solution was filled in."""
    cells = nbformat.read(executed / page, 4).cells
    outputs = {cell.id: cell.get("outputs", []) for cell in cells}
    for _, _, check in exercises(page):
        said = "".join(o.get("text", "") for o in outputs[check["id"]])
        verdicts = re.findall(
            r"^(Right|The solution was filled in)\b", said, re.MULTILINE
        )
        assert verdicts == ["The solution was filled in"], said


def statements(page):
    """The text of each `assert` and `guard` of a page."""
    for cell in code_cells(page):
        source = re.sub(r"(?m)^(\s*)[%!].*$", r"\1pass", cell["source"])
        lines = source.splitlines()
        for node in ast.walk(ast.parse(source)):
            guard = isinstance(node, ast.Call) and ast.unparse(node.func) == "guard"
            if guard or isinstance(node, ast.Assert):
                yield "\n".join(lines[node.lineno - 1 : node.end_lineno])


@pytest.mark.parametrize("page", PAGES)
def test_time_is_measured_and_never_asserted(page):
    about_time = r"perf_counter|process_time|monotonic|seconds|elapsed"
    for text in statements(page):
        assert not re.search(about_time, text), text


@pytest.mark.parametrize("page", PAGES)
def test_what_is_statistical_is_a_guard(page):
    """An assertion whose comment counts networks or seeds states no spread."""
    for text in statements(page):
        counted = r"#.*\b(\d+|five|ten|twenty) (seeds|networks|ensembles|draws|runs)\b"
        assert text.startswith("guard") or not re.search(counted, text), text
