"""The loss of quantiles: its gradient, Keras's training, what it converges to."""

import numpy as np
import pytest

from unrolled import GRU, LSTM, RNN, Adam, SequenceQuantileRegressor, gradcheck
from unrolled.losses import quantile_loss

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(6, 5, 2)), RNG.normal(size=(6, 3))
LEVELS = [0.1, 0.5, 0.9]


def test_loss_by_hand():
    loss, gradient = quantile_loss([[[1.0, 5.0]]], [[3.0]], [0.25, 0.5])
    assert loss == pytest.approx((0.25 * 2 + 0.5 * 2) / 2)
    assert np.allclose(gradient, [[[-0.125, 0.25]]])
    half, _ = quantile_loss(Y[..., None], Y[::-1], [0.5])
    assert half == pytest.approx(np.abs(Y - Y[::-1]).mean() / 2)


def test_gradient_is_the_central_difference():
    predictions = RNG.normal(size=(2, 4, 3, 3))
    targets = RNG.normal(size=(4, 3))
    _, gradient = quantile_loss(predictions, targets, LEVELS, ensemble=True)
    for index in np.ndindex(predictions.shape):
        ends = []
        for step in (1e-6, -1e-6):
            moved = predictions.copy()
            moved[index] += step
            ends.append(quantile_loss(moved, targets, LEVELS, ensemble=True)[0])
        difference = (ends[0] - ends[1])[index[0]] / 2e-6
        assert gradient[index] == pytest.approx(difference, abs=1e-8)


@pytest.mark.parametrize("seed", [0, [1, 2]])
@pytest.mark.parametrize("sequences", [False, True])
def test_gradients_of_a_model(sequences, seed):
    model = SequenceQuantileRegressor(
        LSTM(3), 3, LEVELS, return_sequences=sequences, seed=seed
    )
    y = np.repeat(Y[:, None], 5, axis=1) if sequences else Y
    assert gradcheck(model, X, y=y).passed


def test_training_is_keras_s(keras):
    """With the loss written in Keras by its other formula, max(q e, (q − 1) e)."""
    ours = SequenceQuantileRegressor(GRU(4), 3, LEVELS)
    ours.build(2)
    theirs = keras.Sequential([
        keras.Input((5, 2)),
        keras.layers.GRU(4),
        keras.layers.Dense(9),
        keras.layers.Reshape((3, 3)),
    ])
    theirs.set_weights(ours.get_weights())
    q = keras.ops.convert_to_tensor(LEVELS, "float32")

    def loss(y, p):
        e = y - p
        return keras.ops.mean(keras.ops.maximum(q * e, (q - 1) * e))

    theirs.compile("adam", loss)
    how = {"epochs": 4, "batch_size": 3, "shuffle": False, "verbose": 0}
    history, expected = ours.fit(X, Y, **how), theirs.fit(X, Y[..., None], **how)
    np.testing.assert_allclose(
        history.history["loss"], expected.history["loss"], atol=2e-5
    )
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_it_finds_the_quantiles_of_noise():
    """With nothing to see, each output is a quantile of the targets."""
    rng = np.random.default_rng(3)
    x, y = np.zeros((4000, 1, 1)), rng.exponential(size=4000)
    model = SequenceQuantileRegressor(RNN(1), 1, LEVELS, optimizer=Adam(0.03))
    model.fit(x, y, batch_size=200, epochs=40, verbose=0)
    found = model.predict(x[:1])[0, 0]
    for q, at in zip(LEVELS, found, strict=True):
        share, spread = (y < at).mean(), np.sqrt(q * (1 - q) / len(y))
        assert abs(share - q) < 6 * spread


def test_crossed_quantiles_are_sorted():
    model = SequenceQuantileRegressor(RNN(2), 2, [0.1, 0.9])
    model.build(2)
    model.head.weights["bias"][:] = [3.0, 1.0, 0.0, 5.0]
    found = model.predict(X)
    assert found.shape == (6, 2, 2) and (np.diff(found) >= 0).all()


def test_one_number_may_do_without_its_axis():
    model = SequenceQuantileRegressor(RNN(2), 1, LEVELS, seed=[0, 1])
    model.fit(X, Y[:, 0], verbose=0)
    assert model.predict(X).shape == (2, 6, 1, 3)
    assert model.evaluate(X, Y[:, 0]).shape == (2,)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: SequenceQuantileRegressor(RNN(2), 0), "outputs is 0"),
        (lambda: SequenceQuantileRegressor(RNN(2), 1, []), "quantiles has shape"),
        (lambda: SequenceQuantileRegressor(RNN(2), 1, 0.5), "quantiles has shape"),
        (lambda: SequenceQuantileRegressor(RNN(2), 1, [0, 0.5]), "between 0 and 1"),
        (lambda: SequenceQuantileRegressor(RNN(2), 1, [0.5, 0.5]), "rising"),
        (lambda: SequenceQuantileRegressor(RNN(2), 2).fit(X, Y), "y has shape"),
        (lambda: quantile_loss(Y, Y, LEVELS), "targets has shape"),
        (lambda: quantile_loss(Y, Y, [0.5]), r"expected \(…, outputs, 1\)"),
        (lambda: quantile_loss(Y[0], 1.0, LEVELS), "predictions has shape"),
    ],
)
def test_what_does_not_fit_is_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()
