"""Files of the checkout that have to agree with each other."""

import ast
import re
import sys
import tarfile
import tomllib
import zipfile

import pytest
import yaml
from packaging.requirements import Requirement

from tests.conftest import PAGES, ROOT, read_page
from tools import release
from tools.checkout import package_files
from tools.lock import BINDER, LISTS, READERS, lock_of, not_locked, read_pins
from tools.setup import LOCKS


def requirements(name):
    """Lines of a list that name a package, without comments."""
    lines = (ROOT / name).read_text("utf-8").splitlines()
    stripped = (line.partition("#")[0].strip() for line in lines)
    return [line for line in stripped if line and line[0] not in "-."]


@pytest.mark.parametrize("name", LISTS)
def test_lock_holds_every_pin(name):
    listed = requirements(name)
    assert {"==".join(pin) for pin in read_pins(ROOT / name)} == set(listed)
    assert not_locked(ROOT, name) == [], "run `python -m tools.lock`"
    assert len(read_pins(ROOT / lock_of(name))) > 2 * len(listed)


def test_locks_belong_together():
    """One environment can hold them all: no package has two versions."""
    readers, *others = (read_pins(ROOT / lock_of(name)) for name in LISTS)
    assert all(readers <= lock for lock in others)
    together = readers.union(*others)
    assert len(together) == len({package for package, _ in together})
    assert sorted(LOCKS.values()) == sorted(map(lock_of, LISTS))


def test_readers_do_without():
    """Readers install no Django, no browser's driver, no checks."""
    packages = {package for package, _ in read_pins(ROOT / lock_of(READERS))}
    assert not packages & {"django", "hypothesis", "pikepdf", "playwright", "ruff"}


def test_binder_has_the_books_versions():
    lines = (ROOT / BINDER).read_text("utf-8").splitlines()
    assert f"-c ../{lock_of(READERS)}" in lines and "." in lines
    pinned = dict(read_pins(ROOT / READERS))
    wanted = {"tensorflow-cpu": pinned["tensorflow"]}
    assert dict(read_pins(ROOT / BINDER)) == wanted
    plain = set(requirements(BINDER)) - {f"tensorflow-cpu=={pinned['tensorflow']}"}
    assert plain <= pinned.keys()


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_package_admits_the_pins(project):
    pinned = dict(read_pins(ROOT / lock_of("tests/requirements.txt")))
    extras = project["optional-dependencies"]
    for text in [*project["dependencies"], *extras["book"], *extras["test"]]:
        requirement = Requirement(text)
        if requirement.name != project["name"]:
            version = pinned[requirement.name]
            assert requirement.specifier.contains(version), f"{text}: {version}"


def test_extras_repeat_what_pages_need(project):
    """Binder's list and the extra `book` are for the same readers."""
    extra = {
        Requirement(text).name for text in project["optional-dependencies"]["book"]
    }
    binder = {Requirement(text).name for text in requirements(BINDER)}
    assert binder - {"tensorflow-cpu", "mlxtend"} <= extra
    assert {"tensorflow", project["name"]} <= extra


def test_metadata_is_complete(project):
    for name in ("description", "readme", "license", "keywords", "classifiers"):
        assert project[name], name
    assert project["authors"] == [{"name": "The Gates & Gradients authors"}]
    assert {"Homepage", "Documentation", "Source", "Issues", "Changelog"} == set(
        project["urls"]
    )
    config = (ROOT / "_config.yml").read_text("utf-8")
    for name in ("Homepage", "Source"):
        assert project["urls"][name] in config
    assert "Typing :: Typed" in project["classifiers"]
    assert (ROOT / "unrolled" / "py.typed").exists()


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """The source archive and the wheel, as a release uploads them."""
    folder = tmp_path_factory.mktemp("archives") / "made"
    release.build(folder)
    return folder


def test_archives_hold_the_package(archives):
    package = {p.relative_to(ROOT).as_posix() for p in package_files(ROOT / "unrolled")}
    package.add("unrolled/py.typed")
    with zipfile.ZipFile(next(archives.glob("*.whl"))) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == package
    with tarfile.open(next(archives.glob("*.tar.gz"))) as source:
        names = {name.partition("/")[2] for name in source.getnames()}
    assert package <= names
    assert not [name for name in names if name.startswith(("tests", "tools"))]
    assert not [path.name for path in archives.iterdir() if release.lacking(path)]


def test_a_release_keeps_what_else_lies_in_its_folder(tmp_path):
    made, output = tmp_path / "made", tmp_path / "output"
    for folder, names in (
        (made, ["unrolled-2-py3-none-any.whl", "unrolled-2.tar.gz"]),
        (output, ["unrolled-1-py3-none-any.whl", "unrolled-2.tar.gz", "thesis.tex"]),
    ):
        folder.mkdir()
        for name in names:
            (folder / name).write_text(folder.name, encoding="utf-8")
    release.put_in_place(sorted(made.iterdir()), output)
    assert {p.name: p.read_text("utf-8") for p in output.iterdir()} == {
        "unrolled-2-py3-none-any.whl": "made",
        "unrolled-2.tar.gz": "made",
        "thesis.tex": "output",
    }


def test_a_release_that_fails_leaves_earlier_archives(tmp_path, monkeypatch):
    def fail(output):
        output.mkdir()
        (output / "unrolled-2.tar.gz").touch()
        sys.exit("no setuptools")

    monkeypatch.setattr(release, "build", fail)
    (tmp_path / "unrolled-1.tar.gz").touch()
    with pytest.raises(SystemExit, match="no setuptools"):
        release.main(["--output", str(tmp_path)])
    assert [path.name for path in tmp_path.iterdir()] == ["unrolled-1.tar.gz"]


def test_a_release_is_refused_where_files_speak_of_another_version(capsys):
    version = release.read_version()
    assert not release.unprepared(version)
    assert len(release.unprepared("9.9.9")) == 2
    with pytest.raises(SystemExit):
        release.main(["--tag", "v9.9.9"])
    assert f"expected v{version}" in capsys.readouterr().err


def test_readme_names_only_what_there_is():
    readme = (ROOT / "README.md").read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in set(re.findall(r"(?:`|^    )make ([a-z]+)", readme, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target}"
    for path in re.findall(
        r"\]\(([^)#:]+)\)|`((?:book|unrolled|tests|\.ci)/[\w./-]*)`", readme
    ):
        assert (ROOT / (path[0] or path[1])).exists(), path


@pytest.fixture(scope="module")
def readme():
    return (ROOT / "README.md").read_text("utf-8")


def test_readme_and_citation_speak_of_this_version(readme, project):
    version = release.read_version()
    assert set(re.findall(r"\bv(\d+\.\d+\.\d+)", readme)) == {version}
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    changes = (ROOT / ".github" / "CHANGELOG.md").read_text("utf-8")
    released = f"## [{version}] - {citation['date-released'].isoformat()}"
    assert citation["version"] == version and released in changes
    assert citation["url"] == project["urls"]["Homepage"]
    assert citation["repository-code"] == project["urls"]["Source"]


def test_addresses_in_the_readme_are_ours(readme, project):
    """A fork changes all of them; each page that is named is there."""
    site, source = project["urls"]["Homepage"], project["urls"]["Source"]
    colab = source.replace("github.com/", "colab.research.google.com/github/", 1)
    found = re.findall(r"https://[^\s)\"]+", readme)
    assert len(found) >= 7
    for address in found:
        if address.startswith(f"{colab}/blob/main/"):
            assert (ROOT / address.removeprefix(f"{colab}/blob/main/")).exists()
        elif address.startswith(site):
            page = ROOT / (address.removeprefix(site) or "book/index.html")
            sources = [page.with_suffix(ending) for ending in (".ipynb", ".md")]
            assert any(path.exists() for path in sources), address
        else:
            assert re.match(rf"{re.escape(source)}(\.git$|/archive/)", address), address


def test_the_map_in_the_readme(readme):
    """Every chapter, in order, under its own title."""
    chapters = sorted((ROOT / "book").glob("[0-9]-*/index.ipynb"))
    titles = {}
    for path in chapters:
        (first, *_) = read_page(path)
        title = first["source"].splitlines()[0].removeprefix("# ").partition(":")[0]
        titles[path.relative_to(ROOT).as_posix()] = f"{path.parent.name[0]} {title}"
    rows = re.findall(r"^\| \[(.+?)\]\((\S+)\) \|", readme, re.MULTILINE)
    named = {
        path: title.replace("FAQ", "Frequently asked questions") for title, path in rows
    }
    assert list(named.items()) == list(titles.items()) and len(chapters) == 6


def test_reading_times_in_the_readme(readme):
    least, most = re.search(r"A page takes (\d+) to (\d+) minutes", readme).groups()
    texts = "\n".join((ROOT / page).read_text("utf-8") for page in PAGES)
    minutes = [int(n) for n in re.findall(r"(\d+) minutes to read", texts)]
    assert (min(minutes), max(minutes)) == (int(least), int(most))


def test_variables_in_the_readme_are_read(readme):
    """All of them, and no others."""
    code = "\n".join(
        path.read_text("utf-8")
        for folder in ("unrolled", "tools")
        for path in (ROOT / folder).rglob("*.py")
    )
    named = set(re.findall(r"UNROLLED_[A-Z]+", readme))
    # Between our own processes; nobody sets it.
    assert named | {"UNROLLED_LEDGER"} == set(re.findall(r"\bUNROLLED_[A-Z]+", code))


def unnamed_encodings(code):
    """Lines that read or write text in the encoding of the system, whatever that is."""
    # How many arguments come before the encoding, and which of them is a mode.
    places = {"read_text": (0, None), "write_text": (1, None), "open": (2, 0)}
    for call in ast.walk(ast.parse(code)):
        if not isinstance(call, ast.Call):
            continue
        words = {keyword.arg: keyword.value for keyword in call.keywords}
        if getattr(words.get("text"), "value", False) and "encoding" not in words:
            yield call.lineno
        function = call.func
        name = getattr(function, "attr", getattr(function, "id", None))
        if name not in places or {"encoding", None} & words.keys():
            continue
        if name != "open" and isinstance(function, ast.Name):
            continue  # a function of that name: those of a path follow a dot
        if getattr(getattr(function, "value", None), "id", None) in OF_BYTES:
            continue
        before, mode = places[name]
        if name == "open" and isinstance(function, ast.Name):
            before, mode = 3, 1
        if mode is not None:
            found = call.args[mode] if len(call.args) > mode else words.get("mode")
            found = getattr(found, "value", "r")
            if not isinstance(found, str) or "b" in found or not set(found) <= MODES:
                continue
        if len(call.args) <= before:
            yield call.lineno


MODES = set("rwxat+")
# Those whose `open` reads no text.
OF_BYTES = ("os", "tarfile", "zipfile", "pikepdf", "Image")


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("path.read_text()", True),
        ("path.read_text('utf-8')", False),
        ("path.write_text('a')", True),
        ("path.write_text('a', encoding='utf-8')", False),
        ("open('a')", True),
        ("open('a', 'wb')", False),
        ("open('a', 'w', encoding='utf-8')", False),
        ("path.open()", True),
        ("path.open('rb')", False),
        ("path.open(mode='a')", True),
        ("tarfile.open(path)", False),
        ("run(command, text=True)", True),
        ("run(command, encoding='utf-8')", False),
    ],
)
def test_an_unnamed_encoding_is_found(code, found):
    assert bool(list(unnamed_encodings(code))) is found


def test_text_is_in_utf_8_on_every_system():
    """What ruff (PLW1514) finds only where it knows that something is a path."""
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for folder in ("tests", "tools", "unrolled")
        for path in (ROOT / folder).rglob("*.py")
        for line in unnamed_encodings(path.read_text("utf-8"))
    ]
    assert not found
