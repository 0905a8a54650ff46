"""Imports and declarations are compared: each kind of fault is found, and named."""

import ast

import pytest

from tests.conftest import PAGES
from tools import dependencies
from tools.dependencies import NOT_IMPORTED, READERS, TEACHERS, TESTERS


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """Folder with the code of the notebooks; not to be changed."""
    folder = tmp_path_factory.mktemp("scripts")
    dependencies.write_scripts(folder)
    return folder


def test_scripts_hold_the_code_of_every_notebook(scripts):
    pages = [*scripts.glob("pages/*.py")]
    assert len(pages) == len(PAGES) and len([*scripts.glob("masters/*.py")]) == 3
    code = [path.read_text("utf-8") for path in pages]
    assert all(ast.parse(text) for text in code)
    assert sum("import keras" in text for text in code) > 3


def test_an_import_that_is_not_declared_is_named(tmp_path):
    """A page that needs a browser, as no reader has."""
    (tmp_path / "pages").mkdir()
    page = tmp_path / "pages" / "4-code-1-data.py"
    page.write_text("import playwright, numpy, unrolled", encoding="utf-8")
    (line,) = [s for s in dependencies.of_a_list(READERS, tmp_path) if "page" in s]
    assert line.startswith(page.as_posix()) and "'playwright' imported but" in line


@pytest.mark.slow
@pytest.mark.parametrize("listed", [READERS, TESTERS, TEACHERS])
def test_what_nobody_needs_is_named(monkeypatch, scripts, listed):
    *others, last = NOT_IMPORTED[listed]
    monkeypatch.setitem(NOT_IMPORTED, listed, others)
    (line,) = dependencies.of_a_list(listed, scripts)
    assert (
        line
        == f"{listed}: '{last}' defined as a dependency but not used in the codebase"
    )


@pytest.mark.parametrize("listed", NOT_IMPORTED)
def test_exceptions_are_listed(listed):
    """An exception for a package that is gone would hide its next use."""
    text = (dependencies.ROOT / listed).read_text("utf-8")
    for package in NOT_IMPORTED[listed]:
        assert package == "." or f"\n{package}==" in text, package
