"""`python -m tools.check`: its steps pass, and what fails is shown and fails it."""

import importlib
import sys

import pytest

from tests import guard
from tools import check


@pytest.mark.parametrize("step", [step for step in check.STEPS if step != "tests"])
def test_the_checkout_passes(step):
    status, output = check.run_step(step)
    assert status == 0, output


def test_each_step_says_how_it_went(monkeypatch, capsys, tmp_path):
    (tmp_path / "good.py").write_text("print('All is well.')", encoding="utf-8")
    (tmp_path / "bad.py").write_text(
        "print('café, line 3')\nprint('1 fault')\nexit(3)", encoding="utf-8"
    )
    monkeypatch.setattr(check, "ROOT", tmp_path)
    monkeypatch.setattr(check, "STEPS", {"fine": ["good"], "broken": ["bad"]})
    assert check.main(["fine"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.split()[:2] == ["fine", "ok"] and line.endswith("All is well.")
    assert check.main([]) == 1
    said = capsys.readouterr().out
    assert "broken failed: python -m bad\n\ncafé, line 3\n1 fault" in said
    assert said.count("All is well.") == 1


def test_what_is_skipped_is_shown(monkeypatch, capsys, tmp_path):
    skips = "SKIPPED [3] tests/a.py:7: Keras is not installed"
    (tmp_path / "quick.py").write_text(f"print({skips!r})", encoding="utf-8")
    monkeypatch.setattr(check, "ROOT", tmp_path)
    monkeypatch.setattr(check, "STEPS", {"tests": ["quick"]})
    assert check.main([]) == 0
    assert capsys.readouterr().out.splitlines()[1].strip() == skips


def test_an_unknown_step_is_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        check.main(["teste"])
    assert stop.value.code == 2
    assert "STEP is 'teste'; expected one of tests, types" in capsys.readouterr().err


@pytest.mark.parametrize("module", ["keras", "tensorflow", "playwright.sync_api"])
def test_what_needs_keras_or_a_browser_has_to_say_so(monkeypatch, module):
    for name in [n for n in sys.modules if n.partition(".")[0] in guard.NEEDS]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [guard.Guard, *sys.meta_path])
    with pytest.raises(
        pytest.fail.Exception, match=r"take the fixture '(keras|browser)'"
    ):
        importlib.import_module(module)
