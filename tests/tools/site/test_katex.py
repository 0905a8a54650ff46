"""KaTeX's files: fetched once, never half, never others than the ones pinned."""

import hashlib
import multiprocessing
import os
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import need
from tools.site import katex

NAMES = ["katex.min.js", "katex.min.css", "LICENSE", "fonts/KaTeX_Main-Regular.woff2"]


@pytest.fixture
def places(tmp_path, monkeypatch):
    """The environment's folder and the user's, both empty, and no network."""
    prefix, cache = tmp_path / "prefix", tmp_path / "cache"
    prefix.mkdir()
    monkeypatch.setattr(sys, "prefix", str(prefix))
    monkeypatch.setattr(katex.platformdirs, "user_cache_path", lambda *_, **__: cache)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    (tmp_path / "index").mkdir()
    return prefix / "share" / katex.BOOK, cache


@pytest.fixture
def wheel(tmp_path, places, monkeypatch):
    """A tiny wheel in a folder that stands for the index, with its hash pinned."""
    info = "djangocms_katex-1.0.2.dist-info/"
    contents = {katex.INSIDE + name: f"content of {name}" for name in NAMES}
    contents |= {
        katex.INSIDE + "katex.mjs": "not used",
        katex.INSIDE + "../escaped.js": "not wanted",
        katex.INSIDE + "../../../escaped.js": "not wanted",
        katex.INSIDE + "fonts/../../../escaped.woff2": "not wanted",
        katex.INSIDE + "fonts/..\\..\\escaped.woff2": "not wanted",
        "/escaped.js": "not wanted",
        info + "METADATA": "Metadata-Version: 2.1\nName: djangocms-katex\n"
        "Version: 1.0.2\nRequires-Dist: django-cms\n",
        info + "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
        info + "RECORD": "",
    }
    path = tmp_path / "index" / "djangocms_katex-1.0.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in contents.items():
            archive.writestr(name, text)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(katex, "SHA256", digest)
    return path


@pytest.fixture
def without_pip(wheel, monkeypatch):
    """The wheel, copied in the place of pip, which takes half a second to start."""

    def copy(command, cwd=None):
        target = Path(command[-1].removeprefix("--dest="))
        target.mkdir()
        shutil.copy(wheel, target)

    monkeypatch.setattr(katex, "run", copy)
    return wheel


def fail(*_, **__):
    raise AssertionError("asked for a network")


def remains(*folders):
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


def test_fetched_once_then_offline(wheel, places, tmp_path, monkeypatch):
    folder = katex.files()
    assert folder == places[0] / f"katex-{katex.VERSION}"
    found = {path.relative_to(folder).as_posix() for path in remains(folder)}
    assert found == {*NAMES, "whole.json"}
    assert (folder / NAMES[0]).read_text("utf-8") == f"content of {NAMES[0]}"
    assert os.listdir(places[0]) == [folder.name]  # nothing left beside
    assert not list(tmp_path.rglob("*escaped*")) and not Path("/escaped.js").exists()
    monkeypatch.setattr(katex, "fetch", fail)
    assert katex.files() == folder


@pytest.mark.parametrize("lost", ["katex.min.js", NAMES[-1], "whole.json"])
def test_what_lost_a_file_is_fetched_again(lost, without_pip, monkeypatch):
    folder = katex.files()
    (folder / lost).unlink()
    assert not katex.is_whole(folder)
    assert katex.files() == folder and (folder / lost).exists()
    (folder / lost).write_text("", encoding="utf-8")  # cut
    assert katex.files() == folder and (folder / lost).stat().st_size


def test_another_file_is_refused(wheel, places, monkeypatch):
    monkeypatch.setattr(katex, "SHA256", "0" * 64)
    with pytest.raises(RuntimeError, match="another file as djangocms-katex") as error:
        katex.files()
    assert "0" * 64 in str(error.value.__cause__)
    assert not remains(*places)


def test_another_file_is_refused_even_if_pip_takes_it(without_pip, places, monkeypatch):
    monkeypatch.setattr(katex, "SHA256", "0" * 64)
    with pytest.raises(RuntimeError, match="is not the djangocms-katex"):
        katex.files()
    assert not remains(*places)


@pytest.mark.parametrize("after", range(len(NAMES) + 1))
def test_interrupted_unpacking_is_not_whole(after, without_pip, places, monkeypatch):
    written, write = [], Path.write_bytes

    def interrupted(path, data):
        if len(written) == after:
            raise KeyboardInterrupt
        written.append(path)
        return write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", interrupted)
        if after == len(NAMES):  # all written, not moved yet
            patch.setattr(Path, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            katex.files()
    assert len(written) == after and not remains(*places)
    assert katex.is_whole(katex.files())


def test_a_killed_process_leaves_nothing_that_counts(without_pip, places):
    folder = places[0] / f"katex-{katex.VERSION}"

    def killed():
        Path.rename = lambda *_: os._exit(9)
        katex.keep({"katex.min.js": b"", "katex.min.css": b""}, folder)

    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("needs fork")
    process = multiprocessing.get_context("fork").Process(target=killed)
    process.start()
    process.join()
    assert process.exitcode == 9 and remains(*places) and not folder.exists()
    assert katex.is_whole(katex.files())


def test_no_network(places):
    """No index, no wheel: one sentence says what is needed, and that once is enough."""
    with pytest.raises(RuntimeError) as error:
        katex.files()
    message = str(error.value)
    assert message.startswith("Typesetting the formulas needs KaTeX from djangocms-kat")
    assert "python -m tools.site.katex` once with a Python package index" in message
    assert "\n" not in message and message.count(". ") == 0
    assert "djangocms-katex" in str(error.value.__cause__)  # pip's words
    assert not remains(*places)


def test_where_the_environment_is_not_writable(without_pip, places, monkeypatch):
    places[0].parent.write_text("a file instead of a folder", encoding="utf-8")
    assert katex.files() == places[1] / f"katex-{katex.VERSION}"
    monkeypatch.setattr(katex, "fetch", fail)
    assert katex.files().parent == places[1]


def test_nowhere_to_write(without_pip, places):
    places[0].parent.write_text("a file instead of a folder", encoding="utf-8")
    places[1].write_text("another", encoding="utf-8")
    with pytest.raises(RuntimeError, match="can be written") as error:
        katex.files()
    assert all(str(place) in str(error.value) for place in places)


def test_the_first_of_two_processes_wins(without_pip, places, monkeypatch):
    """The other one comes while the files are already there, or comes in between."""
    contents, rename = katex.fetch(), Path.rename
    folder = places[0] / f"katex-{katex.VERSION}"

    def meanwhile(path, target):
        monkeypatch.setattr(Path, "rename", rename)
        katex.keep(contents | {"LICENSE": b"the other's"}, folder)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", meanwhile)
    katex.keep(contents, folder)
    assert (folder / "LICENSE").read_bytes() == b"the other's"
    katex.keep(contents, folder)
    assert (folder / "LICENSE").read_bytes() == b"the other's"
    assert os.listdir(places[0]) == [folder.name]


def test_a_wheel_without_katex(without_pip, places, monkeypatch):
    monkeypatch.setattr(katex, "INSIDE", "elsewhere/")
    with pytest.raises(RuntimeError, match="has no KaTeX"):
        katex.files()
    assert not remains(*places)


def without(monkeypatch, *modules, uv=None):
    find = katex.importlib.util.find_spec
    monkeypatch.setattr(
        katex.importlib.util, "find_spec", lambda n: None if n in modules else find(n)
    )
    monkeypatch.setattr(katex.shutil, "which", lambda name: uv)


def test_uv_where_pip_is_missing(wheel, places, monkeypatch, tmp_path):
    """Also in a folder whose settings for uv are those of a project."""
    need("uv")  # a program in a package: it lies beside Python
    without(monkeypatch, "pip", uv=str(Path(sys.executable).with_name("uv")))
    settings = '[project]\nname = "x"\nversion = "1"\n'
    settings += '[tool.uv]\nconstraint-dependencies = ["wrapt<2"]\n'
    (tmp_path / "pyproject.toml").write_text(settings, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    folder = katex.files()
    found = {path.relative_to(folder).as_posix() for path in remains(folder)}
    assert found == {*NAMES, "whole.json"}

    shutil.rmtree(folder)
    monkeypatch.setattr(katex, "SHA256", "0" * 64)
    with pytest.raises(RuntimeError, match="another file as djangocms-katex"):
        katex.files()
    wheel.unlink()
    with pytest.raises(RuntimeError, match="needs KaTeX from djangocms-katex"):
        katex.files()
    assert not remains(*places)


def test_neither_pip_nor_uv(places, monkeypatch):
    without(monkeypatch, "pip", "uv")
    with pytest.raises(RuntimeError, match="needs pip or uv: run `python -m ensurepip"):
        katex.files()


@pytest.mark.slow
def test_command(wheel, places, capsys, monkeypatch):
    assert katex.main([]) == 0
    assert capsys.readouterr().out.strip() == str(katex.files())
    shutil.rmtree(katex.files())
    wheel.unlink()
    assert katex.main([]) == 1
    assert "needs KaTeX from djangocms-katex" in capsys.readouterr().err


def test_the_version_is_the_one_that_the_folder_names(capsys):
    """The real files; they are fetched if this environment has none yet."""
    folder = katex.files()
    script = (folder / "katex.min.js").read_text("utf-8")
    assert f'version:"{katex.VERSION}"' in script
    style = (folder / "katex.min.css").read_text("utf-8")
    fonts = set(katex.re.findall(r"fonts/[\w-]+\.woff2", style))
    assert len(fonts) == 20 and all((folder / font).exists() for font in fonts)
    assert katex.main([]) == 0
    assert Path(capsys.readouterr().out.strip()) == folder
