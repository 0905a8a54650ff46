"""The page template that authors copy: of the pages' shape, and it runs as it is."""

import os
import subprocess
import sys

import pytest

from tests.book import test_pages
from tests.conftest import ROOT

TEMPLATE = ".github/page-template.ipynb"
# What asks for a place in the contents, or for a run by `make book`, is left out.
CHECKS = [
    test_pages.test_no_outputs_in_git,
    test_pages.test_shape_of_a_page,
    test_pages.test_colab_can_install_the_package,
    test_pages.test_plain_markdown_only,
    test_pages.test_no_measured_number_in_prose,
    test_pages.test_cells_are_short,
    test_pages.test_figures_have_alternative_text,
    test_pages.test_solutions_are_folded_and_leave_answers_alone,
    test_pages.test_checks_fail_on_an_empty_answer,
    test_pages.test_time_is_measured_and_never_asserted,
    test_pages.test_what_is_statistical_is_a_guard,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_has_the_shape_of_a_page(check):
    check(TEMPLATE)


@pytest.mark.parametrize("seed", ["0", "1"])
def test_it_runs(seed, tmp_path):
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute"]
    command += ["--output-dir", tmp_path, ROOT / TEMPLATE]
    env = os.environ | {"UNROLLED_SEED": seed}
    run = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
