"""The page template that authors copy: of the pages' shape, and it runs as it is."""

import os

import nbformat
import pytest

from tests.book import test_pages
from tests.book.test_pages import FIRST, TEMPLATE, code_cells, exercises
from tests.conftest import ROOT, execute

# What asks for a place in the contents, or for a run by `make book`, is left out.
CHECKS = [
    test_pages.test_no_outputs_in_git,
    test_pages.test_shape_of_a_page,
    test_pages.test_the_first_cell_looks_for_the_package,
    test_pages.test_plain_markdown_only,
    test_pages.test_no_measured_number_in_prose,
    test_pages.test_cells_are_short,
    test_pages.test_figures_have_alternative_text,
    test_pages.test_solutions_are_folded_and_leave_answers_alone,
    test_pages.test_checks_fail_on_an_empty_answer,
    test_pages.test_checks_end_by_saying_that_the_answer_is_right,
    test_pages.test_time_is_measured_and_never_asserted,
    test_pages.test_what_is_statistical_is_a_guard,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_has_the_shape_of_a_page(check):
    check(TEMPLATE)


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["0", "1"])
def test_it_runs(seed, tmp_path):
    template = nbformat.read(ROOT / TEMPLATE, 4)
    execute(template, tmp_path, env=os.environ | {"UNROLLED_SEED": seed})


# Right, and of other types than the solutions.
ANSWERS = [
    "def limit(keep):\n    return np.array([1 - keep * keep]).item() ** -0.5",
    "walk = np.add.accumulate(x, axis=1).tolist()",
    "import math\nhalf_life = math.log(2) / -math.log(0.9)",
]
FILLED_IN = "The solution was filled in, and passes.\n"


@pytest.fixture
def names():
    """What the template has defined when its exercises begin."""
    names = {}
    for cell in code_cells(TEMPLATE):
        if "your answer" in cell["source"]:
            break
        if cell["source"] != FIRST and "plt.show()" not in cell["source"]:
            exec(cell["source"], names)
    return names


@pytest.mark.parametrize("number", range(3))
def test_a_check_says_whose_answer_it_is(number, names, capsys):
    """In whatever order the cells run, and however often."""
    empty, solution, check = (c["source"] for c in exercises(TEMPLATE)[number])

    def said(*sources):
        capsys.readouterr()
        for source in sources:
            exec(source, names)
        return capsys.readouterr().out

    assert said(empty, solution, check) == FILLED_IN
    assert said(check) == said(solution, check) == FILLED_IN
    assert said(ANSWERS[number], check) == said(solution, check) == "Right.\n"
    assert said(empty, solution, check) == FILLED_IN


@pytest.mark.parametrize("number", range(3))
def test_without_solutions_an_empty_answer_stops_the_page(number, names):
    names["use_solutions"] = False
    empty, solution, check = (c["source"] for c in exercises(TEMPLATE)[number])
    exec(empty, names)
    exec(solution, names)
    with pytest.raises(AssertionError, match="is empty"):
        exec(check, names)
    exec(ANSWERS[number], names)
    exec(solution, names)
    exec(check, names)
