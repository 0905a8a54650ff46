"""The text: the same on every Python, in whole files, and no silent replacement."""

import numpy as np
import pytest

from unrolled.tasks import Alphabet, load_text
from unrolled.tasks import text as ours


@pytest.fixture(autouse=True)
def unnamed(monkeypatch):
    monkeypatch.delenv("UNROLLED_TEXT", raising=False)


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A small library of twenty files, and the folder that it lies in."""
    texts = {f"part/{k}.py": f"x = {k}\n" for k in range(20)}
    files = {"training": {}, "validation": {}, "test": {}}
    for k, (name, text) in enumerate(texts.items()):
        part = ("training", "validation", "test")[min(k // 7, 2)]
        files[part][name] = ours._checksum(text)
        (tmp_path / "part").mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(text.encode())
    monkeypatch.setattr(ours, "FILES", files)
    monkeypatch.setattr(ours.sysconfig, "get_path", lambda name: str(tmp_path))
    return tmp_path


def write(path, text="Once upon a time. ", times=10_000):
    path.write_text(text * times, encoding="utf-8")
    return path


def test_the_library_is_what_the_book_expects(capsys):
    text = load_text()
    assert text.is_known, text.origin  # on this Python; the book tests three
    assert text.source == "python" and text.name == "Python's library"
    sizes = [sum(map(len, p.values())) for p in (text.training, text.validation)]
    assert sizes == [404_069, 30_163] and len(text.test) == 10
    assert capsys.readouterr().out == text.origin + "\n"
    everything = "".join("".join(files.values()) for files in vars_of(text))
    assert everything.isascii() and "\t" not in everything and "\r" not in everything


def vars_of(text):
    return text.training, text.validation, text.test


def test_no_file_is_in_two_parts_or_repeats_another():
    names = [name for part in ours.FILES.values() for name in part]
    sums = [known for part in ours.FILES.values() for known in part.values()]
    assert len(set(names)) == len(names) and len(set(sums)) == len(sums)
    text = load_text()
    lines = {
        line
        for file in text.training.values()
        for line in file.split("\n")
        if len(line) > 40
    }
    for name, file in text.test.items():
        long = [line for line in file.split("\n") if len(line) > 40]
        known = np.mean([line in lines for line in long])
        assert known < 0.2, f"{name} repeats the training text"


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_ends_of_lines_do_not_matter(library, end):
    for path in library.glob("part/*.py"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"  " + end.encode()))
    text = load_text()
    assert text.is_known and text.training["part/0.py"] == "x = 0\n"


def test_a_changed_file_is_left_out_and_named(library):
    (library / "part/3.py").write_text("x = 4\n", encoding="utf-8")
    (library / "part/8.py").unlink()
    text = load_text()
    assert not text.is_known and "part/3.py" not in text.training
    assert "without part/3.py, part/8.py, which differ here" in text.origin


def test_too_many_changed_files_are_refused(library):
    for k in range(3):
        (library / f"part/{k}.py").unlink()
    with pytest.raises(ValueError, match=r"has 17 of the 20 files.*UNROLLED_TEXT"):
        load_text()


def test_a_file_of_ones_own(tmp_path, monkeypatch):
    path = write(tmp_path / "mine.txt")
    text = load_text(path)
    assert (text.source, text.name, text.is_known) == ("file", "mine.txt", False)
    pieces = {
        int(name.split()[1]): piece
        for part in vars_of(text)
        for name, piece in part.items()
    }
    whole = "".join(pieces[k] for k in sorted(pieces))
    assert whole == path.read_text("utf-8").strip() + "\n"
    assert [len(part) for part in vars_of(text)] == [28, 4, 8]
    monkeypatch.setenv("UNROLLED_TEXT", str(path))
    assert load_text() == text
    assert load_text("python").source == "python"


def test_chinese_is_read(tmp_path):
    text = load_text(write(tmp_path / "红楼梦.txt", "满纸荒唐言，一把辛酸泪。"))
    alphabet = Alphabet("".join(text.training.values()))
    assert "荒" in alphabet.symbols and len(alphabet) == 13  # with the last line's end


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read"),
        (b"short", "6 characters; expected 100,000 or more"),
        (b"Le \xe9t\xe9 " * 40_000, "byte 3 is not UTF-8"),
    ],
)
def test_other_files_are_refused(tmp_path, content, problem):
    path = tmp_path / "some.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"some\.txt.*{problem}"):
        load_text(path)


def test_a_path_is_expected():
    with pytest.raises(ValueError, match=r"source is 7.*expected a path"):
        load_text(7)


def test_symbols_and_back():
    alphabet = Alphabet("the quick brown fox\n")
    ids = alphabet.encode("quick fox")
    assert ids.dtype == np.int64 and ids.max() < len(alphabet)
    assert alphabet.decode(ids) == "quick fox"
    assert list(alphabet.symbols) == sorted(alphabet.symbols)
    assert alphabet.encode("").shape == (0,)


def test_rare_symbols_are_pooled():
    alphabet = Alphabet("aaabbbccd", most=3)
    assert alphabet.symbols == "ab�"
    assert alphabet.decode(alphabet.encode("abcdz")) == "ab���"
    assert Alphabet("aab", most=2).symbols == "ab"  # nothing to pool


def test_an_alphabet_refuses():
    alphabet = Alphabet("ab")
    with pytest.raises(ValueError, match=r"text holds 'c'.*alphabet 'ab'"):
        alphabet.encode("abc")
    with pytest.raises(ValueError, match="expected 0 to 1"):
        alphabet.decode([2])
    with pytest.raises(ValueError, match=r"shape \(1, 2\); expected \(n,\)"):
        alphabet.decode([[0, 1]])
    for text in ("", b"ab", None):
        with pytest.raises(ValueError, match="expected a string, not empty"):
            Alphabet(text)
    with pytest.raises(ValueError, match="most"):
        Alphabet("abc", most=1)
