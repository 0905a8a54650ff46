"""Against Keras: layers, losses, optimisers and training give the same numbers."""

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import unrolled
from tests.unrolled.test_layers import (
    as_bytes,
    assert_close,
    each,
    each_layer,
    few,
    make,
    problem,
    seeds,
    sizes,
)
from tests.unrolled.test_training import digits_like
from unrolled import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    Dense,
    PeepholeLSTM,
    SequenceClassifier,
    Stack,
)
from unrolled.losses import mean_squared_error, softmax_cross_entropy

# Keras and TensorFlow take seconds to import: only the tests do it.
pytestmark = pytest.mark.usefixtures("keras")


@functools.cache
def peephole_cell():
    """The class of a cell that Keras lacks."""
    import keras
    import tensorflow as tf

    class PeepholeCell(keras.layers.Layer):
        def __init__(self, units, **options):
            super().__init__(**options)
            self.units, self.output_size, self.state_size = units, units, [units, units]

        def build(self, shape):
            n = self.units
            shapes = (shape[-1], 4 * n), (n, 4 * n), (4 * n,), (3, n)
            self.all_weights = [self.add_weight(shape=s) for s in shapes]

        def call(self, x, states, training=False):
            (W, U, b, p), (h, c) = self.all_weights, states
            i, f, g, o = tf.split(x @ W + h @ U + b, 4, axis=-1)
            i, f = tf.sigmoid(i + p[0] * c), tf.sigmoid(f + p[1] * c)
            c = f * c + i * tf.tanh(g)
            h = tf.sigmoid(o + p[2] * c) * tf.tanh(c)
            return h, [h, c]

    return PeepholeCell


def in_keras(layer, **how):
    """A layer of Keras of the same kind and size."""
    import keras

    K, dtype = keras.layers, {"dtype": layer.dtype.name}
    if isinstance(layer, Dense):
        return K.Dense(layer.units, **dtype)
    if isinstance(layer, Bidirectional):
        return K.Bidirectional(in_keras(layer.parts["forward"], **how), **dtype)
    how |= {"return_state": True, **dtype}
    if isinstance(layer, PeepholeLSTM):
        return K.RNN(peephole_cell()(layer.units, **dtype), **how)
    if isinstance(layer, GRU):
        how["reset_after"] = layer.reset_after
    return {RNN: K.SimpleRNN, LSTM: K.LSTM, GRU: K.GRU}[type(layer)](layer.units, **how)


class Twin:
    """Keras's layers with the same weights."""

    def __init__(self, layer, sequences=True):
        self.parts = [*layer.parts.values()] if isinstance(layer, Stack) else [layer]
        self.layers, given = [], layer.get_weights()
        for part in self.parts:
            sequences_too = sequences or part is not self.parts[-1]
            self.layers.append(in_keras(part, return_sequences=sequences_too))
            self.layers[-1].build((None, None, part.features))
            n = len(part.weights)
            self.layers[-1].set_weights(given[:n])
            given = given[n:]

    def __call__(self, x, state):
        left, after = list(state or ()), []
        for part, layer in zip(self.parts, self.layers, strict=True):
            if isinstance(part, Dense):
                return [layer(x)]
            begin = [left.pop(0) for _ in part.state_names] if left else None
            x, *states = layer(x, initial_state=begin)
            after += states
        return [x, *after]

    def get_weights(self):
        return [w for layer in self.layers for w in layer.get_weights()]


@each("dtype", ["float32", "float64"])
@each_layer
def test_forward_is_keras_s(kind, dtype):
    @few
    @given(sizes, seeds, st.booleans(), st.booleans())
    def check(size, seed, sequences, begin):
        layer, x, state, _ = problem(kind, size, seed, dtype)
        state = state if begin else None
        theirs = Twin(layer, sequences)
        out, after = layer.forward(x, state, return_sequences=sequences)
        assert out.dtype == dtype
        tolerance = 1e-5 if dtype == "float32" else 1e-10
        assert_close([out, *after], theirs(x, state), tolerance)
        other = make(kind, size[3], dtype=dtype)
        other.build(size[2])
        other.set_weights(theirs.get_weights())
        assert as_bytes(other.get_weights()) == as_bytes(layer.get_weights())

    check()


@each_layer
def test_gradients_are_keras_s(kind):
    import tensorflow as tf

    @few
    @given(sizes, seeds, st.booleans())
    def check(size, seed, sequences):
        layer, x, state, like = problem(kind, size, seed)
        out, after = layer.forward(x, state, return_sequences=sequences)
        dout, *dafter = factors = like([out, *after])
        dx, dstate, gradients = layer.backward(dout, tuple(dafter))
        assert list(gradients) == list(layer.weights)
        theirs = Twin(layer, sequences)
        inputs = [tf.constant(a) for a in (x, *state)]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            made = zip(theirs(inputs[0], inputs[1:]), factors, strict=True)
            loss = sum(tf.reduce_sum(a * factor) for a, factor in made)
        inputs += [w.value for one in theirs.layers for w in one.trainable_weights]
        expected = tape.gradient(loss, inputs, unconnected_gradients="zero")
        assert_close([dx, *dstate, *gradients.values()], expected, 1e-10)

    check()


@each_layer
def test_weights_have_keras_s_shapes(kind):
    layer = make(kind, 6)
    layer.build(40)
    twin = Twin(layer)
    for ours, theirs in zip(layer.get_weights(), twin.get_weights(), strict=True):
        assert ours.shape == theirs.shape
    assert layer.count_params() == sum(one.count_params() for one in twin.layers)


@few
@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), seeds)
def test_losses_are_keras_s(shape, seed):
    import keras
    import tensorflow as tf

    rng = np.random.default_rng(seed)
    outputs = rng.normal(0, 3, (2, *shape, 3))
    labels, targets = rng.integers(0, 3, shape), rng.normal(size=outputs.shape[1:])
    how = {"dtype": "float64"}
    entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True, **how)
    squares = keras.losses.MeanSquaredError(**how)
    for ours, theirs, y in (
        (softmax_cross_entropy, entropy, labels),
        (mean_squared_error, squares, targets),
    ):
        ensemble = ours(outputs, y, ensemble=True)
        for k, of_one in enumerate(outputs):
            variable = tf.Variable(of_one)
            with tf.GradientTape() as tape:
                loss = theirs(y, variable)
            mine = ours(of_one, y)
            assert_close(mine, [loss, tape.gradient(loss, variable)], 1e-10)
            assert as_bytes([np.array(a) for a in mine]) == as_bytes([
                np.array(a[k]) for a in ensemble
            ])


# Keras makes its own float32: powers of two are exact.
OPTIONS = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.875, "weight_decay": 0.25}),
    ("Adam", {"beta_1": 0.875, "beta_2": 0.96875, "epsilon": 2**-20}),
    ("Adam", {"beta_1": 0.5, "beta_2": 0.75, "epsilon": 2**-9, "weight_decay": 0.25}),
]


@each("clip", [{}, {"global_clipnorm": 3.0}])
@each(("name", "options"), OPTIONS)
def test_optimizers_are_keras_s(name, options, clip):
    import keras
    import tensorflow as tf

    rng = np.random.default_rng(0)
    options = {"learning_rate": 2**-6, **options, **clip}
    weights = {"w": rng.normal(size=(2, 3, 2)), "b": rng.normal(size=(2, 2))}
    alone = [{k: w[n].copy() for k, w in weights.items()} for n in (0, 1)]
    together, *mine = (getattr(unrolled, name)(**options) for _ in range(3))
    theirs = getattr(keras.optimizers, name)(**options)
    defaults = getattr(unrolled, name)(), getattr(keras.optimizers, name)()
    for key in {"momentum", "beta_1", "beta_2", "epsilon"} & vars(defaults[0]).keys():
        assert getattr(defaults[0], key) == getattr(defaults[1], key)
    assert defaults[0].learning_rate == pytest.approx(float(defaults[1].learning_rate))
    variables = [keras.Variable(w, dtype="float64") for w in alone[0].values()]
    for size in (0.1, 1, 0, 10, 2, 1):
        gradients = {k: rng.normal(0, size, w.shape) for k, w in weights.items()}
        together.apply(weights, gradients, ensemble=True)
        for n in (0, 1):
            mine[n].apply(alone[n], {k: g[n] for k, g in gradients.items()})
            assert as_bytes(alone[n]) == as_bytes([w[n] for w in weights.values()])
        firsts = [tf.constant(g[0]) for g in gradients.values()]
        theirs.apply_gradients(zip(firsts, variables, strict=True))
        assert_close(alone[0].values(), [v.numpy() for v in variables], 1e-10)


@pytest.mark.parametrize("cell", ["SimpleRNN", "LSTM", "GRU"])
def test_fit_follows_keras(cell):
    """Same weights, same batches: the losses of five epochs are Keras's."""
    import keras

    x, y = digits_like()
    ours = SequenceClassifier({"SimpleRNN": RNN, "LSTM": LSTM, "GRU": GRU}[cell](6), 3)
    ours.build(4)
    theirs = keras.Sequential([
        keras.Input((7, 4)),
        getattr(keras.layers, cell)(6),
        keras.layers.Dense(3, activation="softmax"),
    ])
    theirs.set_weights(ours.get_weights())
    theirs.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    how = {"epochs": 5, "batch_size": 16, "validation_split": 0.2, "shuffle": False}
    history = ours.fit(x, y, **how, verbose=0)
    expected = theirs.fit(x, y, **how, verbose=0)
    assert history.epoch == expected.epoch
    assert history.history.keys() == expected.history.keys()
    for name, values in expected.history.items():
        np.testing.assert_allclose(history.history[name], values, atol=2e-5)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    np.testing.assert_allclose(
        ours.evaluate(x, y), theirs.evaluate(x, y, verbose=0), atol=1e-4
    )
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x, verbose=0), atol=1e-4)


@pytest.mark.parametrize("cell", ["SimpleRNN", "LSTM", "GRU"])
def test_streams_follow_keras(cell):
    """The same pieces in the same order, through Keras's stateful layers."""
    import keras

    symbols = np.random.default_rng(0).integers(3, size=(4, 25))
    x, y = np.eye(3, dtype="float32")[symbols[:, :-1]], symbols[:, 1:]
    layer = {"SimpleRNN": RNN, "LSTM": LSTM, "GRU": GRU}[cell](6)
    ours = SequenceClassifier(layer, 3, return_sequences=True)
    ours.build(3)
    theirs = keras.Sequential([
        keras.Input((8, 3), batch_size=4),
        getattr(keras.layers, cell)(6, return_sequences=True, stateful=True),
        keras.layers.Dense(3),
    ])
    theirs.set_weights(ours.get_weights())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    theirs.compile("adam", loss)
    history = ours.fit_stream(x, y, steps=8, epochs=3, verbose=0)
    for expected in history.history["loss"]:
        theirs.layers[0].reset_state()
        losses = []
        for k in (0, 8, 16):
            theirs.reset_metrics()
            losses.append(theirs.train_on_batch(x[:, k : k + 8], y[:, k : k + 8]))
        np.testing.assert_allclose(np.mean(losses), expected, atol=2e-5)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
