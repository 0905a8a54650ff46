"""A text to read and to imitate: Python's own library, or a file of your own."""

import hashlib
import os
import platform
import sysconfig
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unrolled.checks import check_integer, check_labels, check_path
from unrolled.types import Array

PIECES = 40  # a text of your own is cut into so many
SHORTEST = 100_000  # characters that such a text must have
LOST_SHARE = 0.1  # so many of Python's files may be missing or changed
UNKNOWN = "\ufffd"  # stands for symbols outside an alphabet

# Modules of Python's library, by the part of the text that they belong to, with the
# SHA-256 of what `_tidy` makes of them, cut to 16 digits. They are the same in every
# release of Python 3.11, 3.12 and 3.13 that was looked at. All are ASCII, none is a
# table, and none repeats another one, as copies of a licence do. Their order is that of
# their checksums: a shuffle that stays.
FILES = {
    "training": {
        "multiprocessing/popen_forkserver.py": "0588ad0e5a36718b",
        "optparse.py": "07d224301cba312f",
        "difflib.py": "0c6afc23568d55b3",
        "asyncio/protocols.py": "1d1b49988c338b4e",
        "string.py": "24aeae1f0526250f",
        "email/contentmanager.py": "2d81026aef17e478",
        "xml/sax/saxutils.py": "3fe2cdb6386e0c4d",
        "email/_encoded_words.py": "4178321600c0a19c",
        "xml/dom/minicompat.py": "42974c4c67803dfe",
        "multiprocessing/reduction.py": "4999f8b9ae7b3e8a",
        "weakref.py": "56f8d313fb74019e",
        "xml/dom/pulldom.py": "614b88673d496a36",
        "tomllib/_re.py": "75b8e0e428594f6d",
        "multiprocessing/sharedctypes.py": "77ef522912474652",
        "graphlib.py": "7bd338c5a475d110",
        "concurrent/futures/_base.py": "8c6d5f09f7c535d4",
        "unittest/_log.py": "905672317ab26c65",
        "multiprocessing/dummy/__init__.py": "9127a40ea0ff342c",
        "multiprocessing/popen_spawn_posix.py": "97b5d25aa4795168",
        "__future__.py": "981d4c398849f9eb",
        "xml/dom/NodeFilter.py": "9bfacbbb64e239a7",
        "xml/etree/ElementPath.py": "ae8a80a8b51567b4",
        "xml/dom/__init__.py": "b415a6f3d3663c3a",
        "asyncio/trsock.py": "c0eac37debcc51b7",
        "tracemalloc.py": "c2cc84a05b824df7",
        "_markupbase.py": "cb14dd6f2e2439eb",
        "_threading_local.py": "e1bf3dae66d0bfa6",
        "asyncio/windows_utils.py": "e6fcffefa2521666",
        "pyclbr.py": "e8ca09333701ba41",
        "unittest/signals.py": "f8286e818ca56e10",
        "_py_abc.py": "f9c6fe3dd9b51bd7",
        "email/headerregistry.py": "fada56c25b6a457c",
    },
    "validation": {
        "importlib/metadata/_text.py": "1c2b0592c66924b7",
        "importlib/metadata/_functools.py": "3ec636fb8aeb297e",
        "email/mime/image.py": "460be5b50cfcaab8",
        "importlib/metadata/_itertools.py": "72faffdaff0145bc",
        "xml/dom/domreg.py": "826b02a803930834",
        "multiprocessing/__init__.py": "a5a42976033c7d63",
        "wsgiref/types.py": "ba66d30ce511a88e",
        "multiprocessing/dummy/connection.py": "d63dd1979fde9c13",
        "multiprocessing/heap.py": "f6bb79bb99b9ae48",
    },
    "test": {
        "wsgiref/headers.py": "0fbf95a47d8e4c0d",
        "_compression.py": "3ad5d60627477a60",
        "tomllib/_parser.py": "4579b04a75664523",
        "xml/sax/handler.py": "64c7aae49f1dd382",
        "urllib/response.py": "7e6c3b6d7a95f0d7",
        "asyncio/exceptions.py": "a5971f88be14cd14",
        "_sitebuiltins.py": "b9388bc1d6d12ed6",
        "json/__init__.py": "d5d41e2c29049515",
        "unittest/suite.py": "ed2da92bc9f97c53",
        "unittest/util.py": "fdcc640c3505d16d",
    },
}


@dataclass(frozen=True)
class Text:
    """A text in three parts, each of whole files, that says where it comes from.

    Attributes:
        training: the files to learn from, text by name.
        validation: the files to choose on.
        test: the files to measure on.
        source: "python" or "file".
        origin: one sentence for people, the line that `load_text` prints.
        is_known: whether it is Python's library with nothing missing; only then may a
            page expect what is known of it.
        name: "Python's library" or the name of the file, for tables.
    """

    training: dict[str, str]
    validation: dict[str, str]
    test: dict[str, str]
    source: str
    origin: str
    is_known: bool
    name: str


def load_text(source: str | os.PathLike[str] | None = None) -> Text:
    """Load a text to train on, and print which one it is.

    By default it is modules of Python's own library, read from the Python that runs
    this: half a million characters that are the same in all its releases from 3.11 to
    3.13, under the licence of Python (PSF-2.0, and MIT for tomllib). Blanks at the ends
    of lines are cut off. Where a release has changed a file, that file is left out and
    named.

    Args:
        source: path of a text file in UTF-8, or "python". If None, the environment
            variable `UNROLLED_TEXT` is read, which takes the same two kinds of value;
            then it is "python".

    Returns:
        `Text`. A file of your own is cut into 40 pieces of equal length; every fifth is
        for the test, every tenth for validation.

    Raises:
        ValueError: the file is missing, too short or not UTF-8, or this Python lacks
            more than a tenth of its library's files, as one without sources does.

    Example:
        >>> from unrolled.tasks import load_text
        >>> text = load_text()  # doctest: +ELLIPSIS
        Text: Python's library, ...
        >>> text.training["difflib.py"].splitlines()[1]
        'Module difflib -- helpers for computing deltas between objects.'
    """
    named = source if source is not None else os.environ.get("UNROLLED_TEXT") or None
    if named is None or named == "python":
        text = _read_library(Path(sysconfig.get_path("stdlib")))
    else:
        text = _read_file(check_path("source", named).expanduser())
    print(text.origin)
    return text


def _read_library(folder: Path) -> Text:
    """Read the files of Python's library; leave out those that are not as expected."""
    parts: dict[str, dict[str, str]] = {part: {} for part in FILES}
    lost = []
    for part, files in FILES.items():
        for name, known in files.items():
            try:
                text = _tidy((folder / name).read_bytes().decode("utf-8"))
            except (OSError, UnicodeDecodeError):
                text = ""
            if _checksum(text) == known:
                parts[part][name] = text
            else:
                lost.append(name)
    total = sum(map(len, FILES.values()))
    if len(lost) > LOST_SHARE * total or not all(parts.values()):
        raise ValueError(
            f"Python {platform.python_version()} has {total - len(lost)} of the "
            f"{total} files expected of its library, in {str(folder)!r}; expected "
            "nearly all; name a text file of your own in UNROLLED_TEXT"
        )
    left_out = f", without {', '.join(lost)}, which differ here" if lost else ""
    return _make_text(
        parts, "python", f"of Python {platform.python_version()}{left_out}", not lost
    )


def _read_file(path: Path) -> Text:
    """Read a text file and cut it into pieces."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ValueError(
            f"text file {str(path)!r}: cannot be read ({error.strerror}); expected a "
            "file of plain text"
        ) from None
    except UnicodeDecodeError as error:
        raise ValueError(
            f"text file {str(path)!r}: byte {error.start} is not UTF-8; expected plain "
            "text in UTF-8"
        ) from None
    text = _tidy(text)
    if len(text) < SHORTEST:
        raise ValueError(
            f"text file {str(path)!r}: {len(text):,} characters; expected {SHORTEST:,} "
            "or more"
        )
    ends = [len(text) * k // PIECES for k in range(PIECES + 1)]
    parts: dict[str, dict[str, str]] = {part: {} for part in FILES}
    for k in range(PIECES):
        part = "test" if k % 5 == 2 else "validation" if k % 10 == 4 else "training"
        parts[part][f"piece {k + 1}"] = text[ends[k] : ends[k + 1]]
    return _make_text(parts, "file", f"cut into {PIECES} pieces", False, path.name)


def _make_text(
    parts: dict[str, dict[str, str]],
    source: str,
    where: str,
    is_known: bool,
    name: str = "Python's library",
) -> Text:
    sizes = [sum(map(len, part.values())) for part in parts.values()]
    words = "{:,} characters for training, {:,} for validation, {:,} for the test"
    origin = f"Text: {name}, {words.format(*sizes)}, {where}."
    return Text(**parts, source=source, origin=origin, is_known=is_known, name=name)


def _tidy(text: str) -> str:
    """Return the text with line feeds alone, and no blanks at the ends of lines."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip() for line in lines).strip("\n") + "\n"


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


class Alphabet:
    """The symbols of a text as integers, and back.

    In Keras it is `TextVectorization(split="character", standardize=None)`.

    Args:
        text: every symbol that occurs in it gets a number, in the order of Unicode.
        most: the largest number of symbols, at least 2. A text with more of them keeps
            its most frequent ones, and U+FFFD stands for all others. None keeps all.

    Attributes:
        symbols: the symbols, in the order of their numbers.

    Raises:
        ValueError: `text` is not a string or empty, or `most` is out of range.

    Example:
        >>> from unrolled.tasks import Alphabet
        >>> alphabet = Alphabet("abracadabra")
        >>> alphabet.symbols, len(alphabet)
        ('abcdr', 5)
        >>> alphabet.encode("crab").tolist()
        [2, 4, 0, 1]
        >>> alphabet.decode([1, 0, 4])
        'bar'
    """

    def __init__(self, text: str, most: int | None = None) -> None:
        if not isinstance(text, str) or not text:
            raise ValueError(f"text is {text!r:.60}; expected a string, not empty")
        counts = Counter(text)
        kept = list(counts)
        if most is not None and len(kept) > check_integer("most", most, 2):
            kept.sort(key=lambda symbol: (-counts[symbol], symbol))
            kept = [UNKNOWN, *[s for s in kept if s != UNKNOWN][: most - 1]]
        self.symbols = "".join(sorted(kept))
        self._numbers = {symbol: k for k, symbol in enumerate(self.symbols)}

    def __len__(self) -> int:
        return len(self.symbols)

    def encode(self, text: str) -> Array:
        """Return the symbols' numbers, integers `(len(text),)`.

        Raises:
            ValueError: a symbol is not in the alphabet, and no other stands for it.
        """
        unknown = self._numbers.get(UNKNOWN)
        numbers = [self._numbers.get(symbol, unknown) for symbol in text]
        if None in numbers:
            raise ValueError(
                f"text holds {text[numbers.index(None)]!r}; expected symbols of the "
                f"alphabet {self.symbols!r:.60}"
            )
        return np.array(numbers, np.int64)

    def decode(self, numbers: npt.ArrayLike) -> str:
        """Return the text of numbers `(n,)`.

        Raises:
            ValueError: not integers from 0 to `len` − 1, or not of one axis.
        """
        numbers = check_labels("numbers", numbers, len(self))
        if numbers.ndim != 1:
            raise ValueError(f"numbers has shape {numbers.shape}; expected (n,)")
        return "".join(self.symbols[k] for k in numbers)
