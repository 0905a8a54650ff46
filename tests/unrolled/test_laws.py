"""What holds for any input: nothing lost in silence, exact resumption, whole files."""

import collections
import copy
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import need
from tests.unrolled.test_inputs import classifier, fitted, regressor
from tests.unrolled.test_layers import CELLS, as_bytes, make
from unrolled import (
    GRU,
    LSTM,
    RNN,
    SGD,
    Adam,
    Bidirectional,
    Dense,
    Dropout,
    SequenceClassifier,
    Stack,
    clip_by_global_norm,
    gradcheck,
    jacobians,
    reach,
)
from unrolled.archive import read_arrays
from unrolled.course import (
    draw_runs,
    how_many,
    lies_above,
    mean_interval,
    measure_effect,
)
from unrolled.generators import get_states
from unrolled.losses import mean_squared_error, softmax_cross_entropy
from unrolled.tasks.mnist import read_npz
from unrolled.tasks.reber import allowed_next
from unrolled.tasks.synthetic import one_hot

each = pytest.mark.parametrize
X, Y = np.ones((4, 5, 3)), np.array([0, 1, 2, 0])


class Quantity(np.ndarray):
    """An array with a unit, as astropy's and unyt's are."""

    unit = "m"


class Measure:
    """A number with a unit that is no array itself, as pint's is."""

    units = "m"

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


class Masked:
    """A tensor that went through Keras's `Masking`."""

    _keras_mask = True

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


class Variable:
    """An array that makes a masked one of itself, as netCDF4's variables do."""

    def __init__(self, array):
        self.array = first_masked(array)

    def __array__(self, dtype=None, copy=None):
        return self.array


class Metres(float):
    """A number with a unit that is a float, too."""

    unit = "m"


class Elsewhere:
    """An array that cannot be had, such as a tensor on a GPU."""

    def __array__(self, dtype=None, copy=None):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


def sparse(array):
    return scipy.sparse.csr_matrix(array.reshape(len(array), -1))


def first_masked(array):
    return np.ma.array(array, mask=np.arange(array.size).reshape(array.shape) == 0)


LOST = {
    "mask": first_masked,
    "mask in a list": lambda a: list(first_masked(a)) if a.ndim > 1 else [
        np.ma.masked, *a[1:]
    ],
    "mask in another sequence": lambda a: collections.deque(
        first_masked(a) if a.ndim > 1 else [np.ma.masked, *a[1:]]
    ),
    "mask behind an interface": Variable,
    "masks in a list": lambda a: [Variable(a), Variable(a)],
    "unit in a list": lambda a: [Metres(3)],
    "unit": lambda a: a.view(Quantity),
    "unit of another kind": Measure,
    "Keras's mask": Masked,
    "on a GPU": lambda a: Elsewhere(),
    "sparse": sparse,
    "imaginary part": lambda a: a + 1j,
    "time": lambda a: a.astype("datetime64[s]"),
    "duration": lambda a: a.astype("timedelta64[s]"),
    "text": lambda a: a.astype(str),
    "objects": lambda a: a.astype(object),
    "missing": lambda a: need("pandas").Series([*a.ravel()[1:], None], dtype="Float64"),
    "records": lambda a: a.astype([("a", float)]),
}  # fmt: skip
V = np.array([1.0, 2, 3, 4])
TAKES = {
    "fit x": (X, lambda x: fitted().fit(x, Y)),
    "fit y": (Y, lambda y: fitted().fit(X, y)),
    "fit numbers": (V, lambda y: fitted(regressor()).fit(X, y)),
    "validation x": (X, lambda x: fitted().fit(X, Y, validation_data=(x, Y))),
    "validation y": (Y, lambda y: fitted().fit(X, Y, validation_data=(X, y))),
    "evaluate": (Y, lambda y: fitted().evaluate(X, y)),
    "predict": (X, lambda x: fitted().predict(x)),
    "forward": (X, lambda x: LSTM(2, 3).forward(x)),
    "new layer": (X, lambda x: GRU(2).forward(x)),
    "Dense": (X, lambda x: Dense(2).forward(x)),
    "Dropout": (X, lambda x: Dropout(0.5).forward(x)),
    "state": (np.ones((4, 2)), lambda h: RNN(2, 3).forward(X, (h,))),
    "weights": (
        np.ones((3, 2)),
        lambda w: RNN(2, 3).set_weights([w, np.eye(2), np.ones(2)]),
    ),
    "initialiser": (
        np.ones((3, 2)),
        lambda w: RNN(2, 3, kernel_initializer=lambda shape, rng: w),
    ),
    "logits": (np.ones((4, 3)), lambda a: softmax_cross_entropy(a, Y)),
    "labels": (Y, lambda y: softmax_cross_entropy(np.ones((4, 3)), y)),
    "predictions": (V, lambda a: mean_squared_error(a, V)),
    "targets": (V, lambda a: mean_squared_error(V, a)),
    "clipped": (V, lambda g: clip_by_global_norm({"w": g}, 1.0)),
    "gradients": (V, lambda g: SGD().apply({"w": V.copy()}, {"w": g})),
    "reach": (X, lambda x: reach(lambda z: z[:, -1], x, np.random.default_rng(0))),
    "what reach is told": (
        np.ones((1, 2)),
        lambda a: reach(lambda z: a, np.ones((1, 1, 2)), np.random.default_rng(0)),
    ),
    "jacobians": (X, lambda x: jacobians(LSTM(2), x)),
    "gradcheck": (X[:1], lambda x: gradcheck(RNN(1), x)),
    "gradcheck's state": (np.ones((4, 2)), lambda h: gradcheck(RNN(2), X, (h,))),
    "mean_interval": (V, mean_interval),
    "lies_above": (V, lies_above),
    "measure_effect": (V, measure_effect),
    "how_many": (V, how_many),
    "draw_runs": (np.ones((4, 5)), lambda r: draw_runs(None, range(5), r, "RNN")),
    "one_hot": (Y, lambda y: one_hot(y, 3)),
}


# A network that diverges has NaN here, which shows in all that follows.
MAY_BE_NAN = {"predictions", "clipped", "gradients"}


@each("what", LOST)
@each("take", TAKES)
def test_nothing_is_lost_in_silence(take, what):
    good, call = TAKES[take]
    if what == "missing" and take in MAY_BE_NAN:
        call(LOST[what](good))
        return
    with pytest.raises(ValueError, match=r" (has|is|carries|holds) .*; expected|shape"):
        call(LOST[what](good))


def test_what_loses_nothing_is_taken():
    whole = np.ma.array(X, mask=False)
    for x in (whole, X.tolist(), list(X), np.asfortranarray(X), X.astype(">f8")):
        expected = LSTM(2).forward(X)
        assert as_bytes(LSTM(2).forward(x)) == as_bytes(expected)
    assert mean_interval(need("pandas").Series(V, index=list("dcba"))) == mean_interval(
        V
    )
    assert mean_interval(
        need("pandas").array([1, 2, 3, 4], dtype="Int64")
    ) == mean_interval(V)


NUMBERS = {
    "x": (X[:, :, :2], lambda x: LSTM(2).forward(x)),
    "jacobians": (X, lambda x: jacobians(LSTM(2), x).h),
    "reach": (
        X,
        lambda x: reach(lambda z: z[:, -1] * 1.0, x, np.random.default_rng(0)),
    ),
    "logits": (Y[:, None] * [0, 1, 1], lambda a: softmax_cross_entropy(a, Y)),
    "labels": (Y % 2, lambda y: softmax_cross_entropy(np.eye(4)[:, :3], y)),
    "predictions": (Y % 2, lambda a: mean_squared_error(a, [0.5, 1, 0, 2])),
    "gradients": (Y % 2, lambda g: clip_by_global_norm({"w": g}, 0.5)[0]["w"]),
    "mean_interval": (Y % 2, mean_interval),
    "one_hot": (Y % 2, lambda y: one_hot(y, 3)),
    "labels of a model": (Y % 2, lambda y: classifier().fit(X, y).history["loss"][0]),
}


@each("dtype", ["bool", "int8", "uint8", "int64", "uint64", "float32", "float64"])
@each("take", NUMBERS)
def test_numbers_of_any_type_are_alike(take, dtype):
    value, call = NUMBERS[take]
    value = np.asarray(value, float) != 0
    expected = call(value.astype(float))
    given = call(value.astype(dtype))
    for got, want in zip(all_arrays(given), all_arrays(expected), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7)


def all_arrays(result):
    if isinstance(result, tuple):
        return [a for part in result for a in all_arrays(part)]
    return [np.asarray(result)]


def test_reach_on_integers():
    rng = np.random.default_rng(0)
    x = np.ones((2, 3, 4), int)
    found = reach(lambda z: z[:, -1].astype(float), x, rng)
    np.testing.assert_allclose(found, [0, 0, 1], rtol=1e-12)
    counts = reach(lambda z: np.round(1000 * z[:, -1]).astype(np.uint8), x * 0, rng, 1)
    assert (counts[:2] == 0).all() and counts[2] > 0


def test_reach_says_when_the_nudge_is_lost():
    x = np.full((2, 3, 4), 1e8, np.float32)
    with pytest.raises(ValueError, match=r"^size is 0\.1, which is lost beside .*1e"):
        reach(lambda z: z[:, -1], x, np.random.default_rng(0))


def test_weights_as_integers_are_refused():
    for weights in ({"w": np.arange(3)}, {"w": [1.0]}):
        with pytest.raises(ValueError, match=r"^weights\['w'\] is .*floats"):
            SGD().apply(weights, {"w": np.ones(3)})


def test_mean_interval_of_masked_numbers():
    with pytest.raises(ValueError, match=r"^values has masked entries"):
        mean_interval(np.ma.masked_equal([1.0, 2, 3, -999], -999))
    mean, half_width = mean_interval([1, 2, 3])
    assert (type(mean), type(half_width), mean) == (float, float, 2)


# One layer in two places


def shared():
    layer = LSTM(3)
    built = LSTM(3, 3)
    copied = copy.copy(built)  # another layer with the same arrays
    inner = Stack([layer])
    return {
        "itself": lambda: Stack([layer, layer]),
        "below itself": lambda: Stack([Bidirectional(layer), layer]),
        "in another's backward": lambda: Stack([Bidirectional(GRU(3), layer), layer]),
        "both directions": lambda: Bidirectional(layer, layer),
        "both directions, deep": lambda: Bidirectional(Stack([layer]), layer),
        "a stack twice": lambda: Stack([inner, Dropout(0.1), inner]),
        "two depths": lambda: Stack([Stack([Stack([layer])]), Stack([layer])]),
        "ensemble": lambda: Stack([Bidirectional(layer), layer], seed=[0, 1]),
        "model": lambda: SequenceClassifier([Bidirectional(layer), layer], 2),
        "built": lambda: Stack([Bidirectional(built), built]),
        "shallow copy": lambda: Stack([built, copied]),
    }


@each("how", shared())
def test_one_layer_in_two_places_is_refused(how):
    with pytest.raises(ValueError, match=r"the same layer is used twice"):
        shared()[how]()


def test_one_layer_put_in_later_is_refused():
    stack = Stack([LSTM(3), LSTM(3)])
    stack.parts["1"] = stack.parts["0"]
    with pytest.raises(ValueError, match=r"the same layer is used twice"):
        stack.forward(X)


# Saved and loaded

optimizers = st.one_of(
    st.builds(
        SGD,
        st.floats(0, 0.1),
        st.floats(0, 0.9),
        weight_decay=st.none() | st.floats(0, 0.1),
        global_clipnorm=st.none() | st.floats(0.1, 2),
    ),
    st.builds(
        Adam,
        st.floats(0, 0.1),
        st.floats(0, 0.9),
        st.floats(0, 0.99),
        weight_decay=st.none() | st.floats(0, 0.1),
        global_clipnorm=st.none() | st.floats(0.1, 2),
    ),
)
bit_generators = st.sampled_from([
    np.random.PCG64,
    np.random.MT19937,
    np.random.Philox,
    np.random.SFC64,
])


@settings(max_examples=20)
@given(
    optimizer=optimizers,
    other=optimizers,
    kind=bit_generators,
    networks=st.sampled_from([None, 2]),
    rate=st.none() | st.floats(0, 1) | st.just(np.float32(0.01)),
    steps=st.integers(0, 2),
)
def test_a_loaded_model_goes_on_as_the_saved_one(
    tmp_path_factory, optimizer, other, kind, networks, rate, steps
):
    def new(optimizer):
        rngs = [np.random.Generator(kind(k)) for k in range(networks or 1)]
        layers = [LSTM(2, recurrent_dropout=0.3), Dropout(0.4), Bidirectional(GRU(1))]
        how = {"optimizer": optimizer, "seed": rngs if networks else rngs[0]}
        return SequenceClassifier(layers, 3, **how)

    path = tmp_path_factory.mktemp("saved") / "model.npz"
    saved = new(optimizer)
    saved.build(3)
    for _ in range(steps):
        saved.fit(X, Y, batch_size=3, verbose=0)
    if rate is not None:
        saved.optimizer.learning_rate = rate
    saved.save(path)
    other = type(optimizer)(0.5) if type(other) is not type(optimizer) else other
    loaded = new(other)
    loaded.load(path)
    for _ in range(2):
        histories = [m.fit(X, Y, batch_size=3, verbose=0) for m in (saved, loaded)]
        assert np.array_equal(*(h.history["loss"] for h in histories))
    assert as_bytes(saved.weights) == as_bytes(loaded.weights)
    assert str(get_states(saved.rngs)) == str(get_states(loaded.rngs))
    settings_of = [
        {k: v for k, v in vars(m.optimizer).items() if k != "slots"}
        for m in (saved, loaded)
    ]
    assert settings_of[0] == settings_of[1]


MADE_OTHERWISE = {
    "dropout": [[LSTM(2), Dropout(0.2)], {}],
    "recurrent dropout": [[LSTM(2, recurrent_dropout=0.1), Dropout(0.1)], {}],
    "truncation": [[LSTM(2), Dropout(0.1)], {"truncate": 2}],
    "every step": [[LSTM(2), Dropout(0.1)], {"return_sequences": True}],
    "float64": [[LSTM(2, dtype="float64"), Dropout(0.1, dtype="float64")], {}],
    "optimizer": [[LSTM(2), Dropout(0.1)], {"optimizer": "sgd"}],
}


@each("how", MADE_OTHERWISE)
def test_a_model_made_otherwise_is_refused(how, tmp_path):
    path = tmp_path / "model.npz"
    fitted(classifier([LSTM(2), Dropout(0.1)])).save(path)
    layers, options = MADE_OTHERWISE[how]
    with pytest.raises(ValueError, match=r"model\.npz' does not fit this model: "):
        classifier(layers, **options).load(path)


def test_weights_that_are_not_numbers_are_not_saved(tmp_path):
    model = fitted()
    model.weights["head/bias"][0] = np.nan
    with pytest.raises(ValueError, match=r"^weights/head/bias holds NaN"):
        model.save(tmp_path / "model.npz")
    assert not list(tmp_path.iterdir())


def test_what_an_optimizer_keeps_elsewhere_is_not_lost_in_silence(tmp_path):
    class Averaging(SGD):
        mean = None

    model = fitted(classifier(optimizer=Averaging()))
    model.save(tmp_path / "model.npz")
    model.optimizer.mean = {"head/bias": np.zeros(3)}
    with pytest.raises(ValueError, match=r"^optimizer\.mean is dict; expected a num"):
        model.save(tmp_path / "model.npz")
    with pytest.raises(ValueError, match=r"does not fit this model: optimizer\.mean"):
        model.load(tmp_path / "model.npz")


@each("path", [None, 3, 1.5, ["model.npz"]])
def test_what_is_no_path(path):
    for call in (fitted().save, fitted().load):
        with pytest.raises(ValueError, match=r"^path is .*; expected a path"):
            call(path)


# Files


def digits(path, compressed):
    rng = np.random.default_rng(0)
    arrays = {
        "x_train": rng.integers(0, 256, (2, 28, 28), dtype=np.uint8),
        "y_train": np.array([3, 4], np.uint8),
        "x_test": rng.integers(0, 256, (1, 28, 28), dtype=np.uint8),
        "y_test": np.array([9], np.uint8),
    }
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    return path.read_bytes()


damages = st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255))


@pytest.mark.slow
@settings(max_examples=150)
@given(damage=damages, compressed=st.booleans())
def test_one_damaged_byte_of_digits(tmp_path_factory, damage, compressed):
    """It is refused, or, where it does not count, the digits are the same."""
    path = tmp_path_factory.mktemp("digits") / "digits.npz"
    whole = bytearray(digits(path, compressed))
    right = as_bytes(read_npz(path))
    share, change = damage
    whole[int(share * len(whole))] ^= change
    path.write_bytes(whole)
    same_or_refused(path, right)


def same_or_refused(path, right):
    try:
        assert as_bytes(read_npz(path)) == right
    except ValueError as error:
        assert "digits.npz" in str(error) and "allow_pickle" not in str(error)


@pytest.mark.slow
@settings(max_examples=60)
@given(damage=damages)
def test_one_damaged_byte_of_a_model(tmp_path_factory, damage):
    path = tmp_path_factory.mktemp("model") / "model.npz"
    model, read = fitted(), classifier()
    model.save(path)
    whole = bytearray(path.read_bytes())
    share, change = damage
    whole[int(share * len(whole))] ^= change
    path.write_bytes(whole)
    try:
        read.load(path)
    except ValueError as error:
        assert "model.npz" in str(error) and "allow_pickle" not in str(error)
        assert not read.built
    else:
        assert as_bytes(read.weights) == as_bytes(model.weights)
        assert get_states(read.rngs) == get_states(model.rngs)


@pytest.mark.slow
@settings(max_examples=60)
@given(share=st.floats(0, 1, exclude_max=True), added=st.binary(max_size=3))
def test_a_file_cut_short(tmp_path_factory, share, added):
    path = tmp_path_factory.mktemp("digits") / "digits.npz"
    whole = digits(path, False)
    right = as_bytes(read_npz(path))
    path.write_bytes(whole[: int(share * len(whole))] + added)
    same_or_refused(path, right)


def with_header(path, **changes):
    """A file whose checksum is right, with another header in front of the numbers."""
    header = {"descr": "|u1", "fortran_order": False, "shape": (3,)} | changes
    text = (repr(header) + "\n").encode()
    start = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", start + text + bytes(3))


@each(
    "changes",
    [
        {"shape": (2,)},
        {"shape": (4,)},
        {"shape": (10**15,)},
        {"shape": (-1,)},
        {"shape": "abc"},
        {"descr": "|O"},
        {"descr": "|x9"},
        {"descr": ("<f8", (2**40,))},
        {"fortran_order": 7},
    ],
)
def test_headers_that_lie(tmp_path, changes):
    with_header(tmp_path / "x.npz")
    assert read_arrays(tmp_path / "x.npz")["x"].tolist() == [0, 0, 0]
    with_header(tmp_path / "x.npz", **changes)
    with pytest.raises(ValueError, match=r"x\.npz': the \.npz archive is damaged"):
        read_arrays(tmp_path / "x.npz")


def test_a_text_file_is_not_to_be_unpickled(tmp_path):
    (tmp_path / "notes.txt").write_text("no arrays", encoding="utf-8")
    for call in (fitted().load, read_npz):
        with pytest.raises(ValueError, match=r"notes\.txt.*not an \.npz") as caught:
            call(tmp_path / "notes.txt")
        assert "pickle" not in str(caught.value)


def test_a_folder_is_no_file(tmp_path):
    for call in (fitted().load, read_npz):
        with pytest.raises(ValueError, match="there is no such file"):
            call(tmp_path)


# Gradients over many scales

scales = st.sampled_from([1e-8, 1e-5, 1e-2, 1, 10, 255, 1e4, 1e6])


def scaled(kind, scale, kernel_scale, seed):
    """A layer and an input, where the kernel makes up for the scale of the input."""
    rng = np.random.default_rng(seed)
    layer = make(kind, 2, dtype="float64")
    layer.build(3)
    for name, w in layer.weights.items():
        w[...] = rng.normal(0, 0.6, w.shape)
        if name.endswith("kernel") and "recurrent" not in name and "1/" not in name:
            w /= kernel_scale
    return layer, scale * rng.normal(size=(2, 3, 3))


@pytest.mark.slow
@settings(max_examples=10)
@given(
    st.sampled_from([*CELLS, "Stack", "Dense"]), scales, st.booleans(), st.integers()
)
def test_a_right_gradient_is_right_at_any_scale(kind, scale, balanced, seed):
    layer, x = scaled(kind, scale, scale if balanced else 1, seed % 2**32)
    report = gradcheck(layer, x)
    assert report.passed, report


class Wrong(RNN):
    """The derivative of tanh, a ten thousandth off."""

    def _step_back(self, a, before, after, da, dh):
        (h,) = after
        da[0] = dh * (1 - h**2) * 1.0001
        return (self._drop(da[0] @ self._W_h_T[0]),)


@pytest.mark.slow
@settings(max_examples=10)
@given(scales, st.integers(0, 2**32 - 1))
def test_a_wrong_gradient_is_wrong_at_any_scale(scale, seed):
    right, x = scaled("RNN", scale, scale, seed)
    layer = Wrong(2, 3, dtype="float64")
    layer.set_weights(right.get_weights())
    assert not any(row.passed for row in gradcheck(layer, x)), gradcheck(layer, x)


def test_gradcheck_on_raw_pixels():
    x = np.random.default_rng(0).integers(0, 256, (2, 6, 8), dtype=np.uint8)
    assert gradcheck(RNN(3), x).passed


# Seeds


def test_seeds_of_every_form():
    expected = as_bytes(LSTM(2, 3, seed=3).weights)
    for seed in (
        np.array(3),
        np.uint8(3),
        np.int64(3),
        np.random.default_rng(3),
        np.random.SeedSequence(3),
        np.random.PCG64(3),
    ):
        assert as_bytes(LSTM(2, 3, seed=seed).weights) == expected
    for seed in ([3], (3,), range(3, 4), np.array([3]), [np.array(3)]):
        layer = LSTM(2, 3, seed=seed)
        assert layer.networks == 1 and as_bytes(layer.weights) == expected


@each(
    "seed",
    [
        *(None, True, np.True_, 3.0, "3", -1, {3}, {}, 1j, np.nan, [[1, 2]]),
        *(np.array(3.0), np.array(-1), np.array([[1]]), np.timedelta64(3, "s")),
        *(np.ma.masked, np.ma.array(3, mask=True), np.ma.array([1, 2], mask=[0, 1])),
        *(np.random.RandomState(0), [1, None], [True, 2]),
    ],
)
def test_seeds_that_are_none(seed):
    with pytest.raises(ValueError, match=r"(?s)^seed is .*; expected an integer >= 0"):
        LSTM(2, 3, seed=seed)


def test_one_generator_for_two_networks_is_refused():
    rng = np.random.default_rng(0)
    for seed in ([rng, rng], [np.random.Generator(rng.bit_generator), rng]):
        with pytest.raises(ValueError, match=r"^seed has the same generator twice"):
            LSTM(2, seed=seed)
    assert LSTM(2, 3, seed=rng.spawn(2)).networks == 2


def test_sizes_may_be_integers_of_any_kind():
    for units in (np.int8(2), np.array(2), np.uint64(2)):
        assert LSTM(units, 3).count_params() == LSTM(2, 3).count_params()


# Messages

rng = np.random.default_rng(0)
NOWHERE = Path("nowhere") / "model.npz"
SAYS = [
    ("x holds 1e+300, too large for float32", lambda: LSTM(2).forward(X * 1e300)),
    ("x holds -1e+300, too large for float32", lambda: fitted().predict(X * -1e300)),
    ("y holds 1e+300, too large for float32",
     lambda: fitted(regressor()).fit(X, [0, 0, 0, 1e300])),
    ("y has shape (4, 1); expected (4,). y[..., 0] takes the last axis off",
     lambda: fitted().fit(X, Y[:, None])),
    ("y has shape (4, 3); expected (4,). One-hot labels become integers by "
     "y.argmax(axis=-1)", lambda: fitted().fit(X, np.eye(3)[Y])),
    ("y has shape (4, 3); expected (4,). One-hot labels become integers by "
     "y.argmax(axis=-1)", lambda: fitted().evaluate(X, np.eye(3)[Y] * 0.5)),
    ("labels has shape (4, 3); expected (4,). One-hot labels become integers by "
     "labels.argmax(axis=-1)",
     lambda: softmax_cross_entropy(X[..., 0, :], X[..., 0, :])),
    ("x has shape (4, 5); expected (batch, time, features), no axis empty. "
     "x[..., None] makes each number a step of one feature, x[None] makes the whole a "
     "single sequence", lambda: LSTM(2).forward(X[..., 0])),
    ("x has shape (4, 5); expected (batch, time, 3), no axis empty. "
     "x[..., None] makes each number a step of one feature, x[None] makes the whole a "
     "single sequence", lambda: fitted().fit(X[..., 0], Y)),
    ("x is csr_matrix, which is sparse (its toarray() gives all numbers); expected "
     "plain numbers", lambda: LSTM(2).forward(sparse(X))),
    ("optimizer is <class 'unrolled.optimizers.Adam'>; expected one of 'sgd', 'adam', "
     "or an optimiser such as Adam()", lambda: classifier(optimizer=Adam)),
    *[("x holds 1e+4000, too large for float32",
       lambda: LSTM(2).forward(X.astype("g") * np.longdouble("1e4000")))]
    * (np.finfo("g").maxexp > 1024),  # some machines have no longer floats
    ("x is NoneType; expected an array", lambda: fitted().fit(None, Y)),
    ("x is dict; expected an array", lambda: fitted().fit({"x": X}, Y)),
    ("y is set; expected an array", lambda: fitted().fit(X, {0, 1, 2})),
    ("x is generator; expected an array", lambda: fitted().predict(x for x in X)),
    ("verbose is [1]; expected 0, 1, 2 or 'auto'",
     lambda: fitted().fit(X, Y, verbose=[1])),
    ("y has shape (4, 1); expected (4,)",
     lambda: fitted().metrics(np.ones((4, 3)), Y[:, None])),
    ("weights is list; expected a dict of arrays by name",
     lambda: SGD().apply([V], {"w": V})),
    ("size is 2.5; expected an integer >= 1", lambda: one_hot(Y, 2.5)),
    ("outputs is NoneType; expected an array", lambda: fitted().metrics(None, Y)),
    ("weights['w'] is read-only; expected one to change",
     lambda: SGD().apply({"w": np.broadcast_to(1.0, 2)}, {"w": np.ones(2)})),
    ("predictions has shape (); expected (…, outputs)",
     lambda: mean_squared_error(1.0, 1.0)),
    ("layers is None; expected a list of layers", lambda: Stack(None)),
    ("path is '.'; expected a file's name in a folder that exists",
     lambda: fitted().save(".")),
    (f"path is {str(NOWHERE)!r}; expected a file's name in a folder that exists",
     lambda: fitted().save(NOWHERE)),
    ("text is None; expected a string of BTSXPVE", lambda: allowed_next(None)),
    ("layer 0 is <class 'unrolled.lstm.LSTM'>; expected a layer",
     lambda: classifier([LSTM])),
    ("verbose is 3; expected 0, 1, 2 or 'auto'", lambda: fitted().fit(X, Y, verbose=3)),
    ("weights is dict; expected a list of 3 arrays: kernel, recurrent_kernel, bias",
     lambda: RNN(2, 3).set_weights(RNN(2, 3).weights)),
    ("weights is NoneType; expected a list of 3 arrays: kernel, recurrent_kernel, bias",
     lambda: RNN(2, 3).set_weights(None)),
    ("gradients is {}; expected a dict of arrays by name",
     lambda: clip_by_global_norm({}, 1)),
    ("gradients is [1]; expected a dict of arrays by name",
     lambda: clip_by_global_norm([1], 1)),
    ("learning_rate is '0.1'; expected a number in [0, inf)",
     lambda: setattr(Adam(), "learning_rate", "0.1")),
    (f"rate is {10**400}; expected a number in [0, 1)", lambda: Dropout(10**400)),
    ("rate is np.complex128(0.5+1j); expected a number in [0, 1)",
     lambda: Dropout(np.complex128(0.5 + 1j))),
    ("layer is int, networks: None; expected an RNN, LSTM, GRU or PeepholeLSTM, a "
     "single network", lambda: jacobians(3, X)),
    ("layer is int; expected a layer or a model", lambda: gradcheck(3, X)),
    ("y is given; expected None, as layer is not a model",
     lambda: gradcheck(RNN(2), X, y=Y)),
    ("initial_state is given; expected None, as layer is a model",
     lambda: gradcheck(fitted(), X, (X,), y=Y)),
    ("tolerance is nan; expected a number in [0, inf)",
     lambda: gradcheck(RNN(2), X, tolerance=np.nan)),
    ("rng is 0; expected a numpy.random.Generator, such as np.random.default_rng(0)",
     lambda: reach(lambda z: z[:, -1], X, 0)),
    ("size is 0; expected a number above 0", lambda: reach(len, X, rng, size=0)),
    ("x has shape (4, 5); expected (batch, T, features), no axis empty",
     lambda: reach(len, X[..., 0], rng)),
    ("layer is 3; expected a function of x", lambda: reach(3, X, rng)),
    ("what layer returns has shape (1, 3); expected (20, units), the last output of "
     "each sequence", lambda: reach(lambda z: z[:1, -1], X, rng)),
    ("what layer returns is ragged; expected an array",
     lambda: reach(LSTM(2).forward, X, rng)),
    ("symbols runs from -1 to 1; expected 0 to 2, for 3 classes",
     lambda: one_hot([-1, 1], 3)),
    ("values has dtype <U1; expected real numbers", lambda: mean_interval(["1", "2"])),
    ("level is 95; expected a number in [0, 1)", lambda: mean_interval([1, 2], 95)),
    ("weights has {'v': (2,)}; expected {'w': (2,)}, as in the steps before",
     lambda: two_steps()),
]  # fmt: skip


def two_steps():
    adam = Adam()
    for name in "wv":
        adam.apply({name: np.zeros(2)}, {name: np.ones(2)})


@each(("says", "call"), SAYS, ids=[says[:40] for says, _ in SAYS])
def test_messages(says, call):
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == says


@each("kind", ["f2", "f4"])
def test_large_gradients_are_clipped_not_lost(kind):
    large = {"f2": 300, "f4": 1e30}[kind]
    with_small = np.array([[large, large], [3, 4]], kind)
    alone, norm = clip_by_global_norm({"w": with_small[0]}, 1)
    assert norm == pytest.approx(large * 2**0.5, rel=1e-3)
    np.testing.assert_allclose(alone["w"], 0.5**0.5, rtol=1e-3)
    both, _ = clip_by_global_norm({"w": with_small}, 1, ensemble=True)
    small, _ = clip_by_global_norm({"w": with_small[1]}, 1)
    assert as_bytes(both["w"]) == as_bytes(np.stack([alone["w"], small["w"]]))


@each(("kind", "size"), [("f4", 3e-23), ("f4", 1e-30), ("f8", 1e-200), ("f8", 1e200)])
def test_a_norm_is_right_even_where_squares_are_not(kind, size):
    gradients = {"w": np.full(3, size, kind), "b": np.full((1, 1), size, kind)}
    _, norm = clip_by_global_norm(gradients, 1)
    assert norm == pytest.approx(2 * size, rel=1e-6)
    clipped, _ = clip_by_global_norm(gradients, size / 5)
    np.testing.assert_allclose(clipped["w"], size / 10, rtol=1e-6)
    assert clipped["w"].dtype == kind
    zero = {"w": np.zeros((2, 3), kind)}
    zero["w"][1] = size
    clipped, norm = clip_by_global_norm(zero, size, ensemble=True)
    np.testing.assert_allclose(norm, [0, 3**0.5 * size], rtol=1e-6)
    np.testing.assert_allclose(clipped["w"][1], size / 3**0.5, rtol=1e-6)
    assert not clipped["w"][0].any()


def test_the_norm_of_what_diverged():
    for size in (np.inf, np.nan):
        with np.errstate(invalid="ignore"):
            _, norm = clip_by_global_norm({"w": np.array([size, 1], "f4")}, 1)
        assert str(norm) == str(size)


def test_a_bound_too_large_for_the_gradients_clips_nothing():
    clipped, _ = clip_by_global_norm({"w": np.ones(3, "f4")}, 1e39)
    assert as_bytes(clipped["w"]) == as_bytes(np.ones(3, "f4"))


# Ensembles


@each("batch", [2, 3])
@each(
    "new",
    [
        lambda seed: classifier([Dropout(0.5), LSTM(2)], seed=seed),
        lambda seed: classifier([Dense(2), GRU(2)], seed=seed),
        lambda seed: classifier([Stack([Dense(2)]), RNN(2)], seed=seed),
        lambda seed: classifier(Bidirectional(Stack([Dense(2), RNN(2)])), seed=seed),
        lambda seed: classifier([Dense(2)], return_sequences=True, seed=seed),
        lambda seed: classifier(Dense(2), return_sequences=True, seed=seed),
        lambda seed: classifier(Dropout(0.2), return_sequences=True, seed=seed),
    ],
)
def test_networks_share_an_input_whatever_reads_it(new, batch):
    """Also where a batch is as long as the ensemble and could be taken for it."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 5, 3))
    y = rng.integers(3, size=(6, 5) if new(0).return_sequences else 6)
    ensemble, alone = new([4, 5]), [new(4), new(5)]
    for model in (ensemble, *alone):
        model.fit(x, y, batch_size=batch, verbose=0)
    for k, model in enumerate(alone):
        assert as_bytes([w[k] for w in ensemble.get_weights()]) == as_bytes(
            model.get_weights()
        )
        together = ensemble.predict(x[:2])[k]
        np.testing.assert_allclose(together, model.predict(x[:2]), rtol=1e-6)


def test_what_is_a_float_is_python_s():
    loss, _ = softmax_cross_entropy(np.zeros((2, 3), np.float32), [0, 1])
    error, _ = mean_squared_error(np.zeros(2, np.float32), [0, 1])
    _, norm = clip_by_global_norm({"w": np.ones(2, np.float32)}, 1)
    of_model, _, _ = fitted().loss_and_gradients(X, Y)
    numbers = [loss, error, norm, of_model, *fitted().evaluate(X, Y)]
    numbers += [fitted(regressor()).evaluate(X, V), *mean_interval(V)]
    assert {type(number) for number in numbers} == {float}
    json.dumps(numbers)
