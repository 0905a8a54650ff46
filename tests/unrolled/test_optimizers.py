"""Losses and optimisers against Keras's; in an ensemble as one by one."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

import unrolled
from tests.unrolled.test_layers import as_bytes, assert_close, each, few, seeds
from unrolled.losses import mean_squared_error, softmax_cross_entropy


@few
@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), seeds)
def test_losses_are_keras_s(shape, seed):
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


def test_large_logits_do_not_overflow():
    loss, dlogits = softmax_cross_entropy(np.array([[1e4, -1e4], [1e4, 0]]), [1, 0])
    assert loss == 1e4 and np.array_equal(dlogits, [[0.5, -0.5], [0, 0]])


# Keras makes them float32: powers of two are exact.
OPTIONS = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.875, "weight_decay": 0.25}),
    ("Adam", {"beta_1": 0.875, "beta_2": 0.96875, "epsilon": 2**-20}),
    ("Adam", {"beta_1": 0.5, "beta_2": 0.75, "epsilon": 2**-9, "weight_decay": 0.25}),
]


@each("clip", [{}, {"global_clipnorm": 3.0}])
@each(("name", "options"), OPTIONS)
def test_optimizers_are_keras_s(name, options, clip):
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


def test_clip_by_global_norm():
    gradients = {"w": np.array([[3.0, 0], [0.3, 0]]), "b": np.array([[4.0], [0.4]])}
    clipped, norm = unrolled.clip_by_global_norm(gradients, 1.0, ensemble=True)
    assert np.allclose(norm, [5, 0.5], rtol=1e-15)
    assert np.allclose(clipped["w"], [[0.6, 0], [0.3, 0]], rtol=1e-15)
    assert np.allclose(clipped["b"], [[0.8], [0.4]], rtol=1e-15)
    clipped, norm = unrolled.clip_by_global_norm(gradients, 1.0)
    assert norm == pytest.approx(np.sqrt(25.25))
    assert np.sqrt(sum((g**2).sum() for g in clipped.values())) == pytest.approx(1)
