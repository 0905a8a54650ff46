"""Long streams, read piece by piece with the state carried on, and written likewise."""

import numpy as np
import pytest

from tests.unrolled.test_layers import CELLS, make
from unrolled import (
    GRU,
    LSTM,
    RNN,
    SGD,
    Adam,
    Attention,
    Bidirectional,
    Dense,
    Dropout,
    SequenceClassifier,
    SequenceRegressor,
    generate,
    sample,
)
from unrolled.losses import log_softmax
from unrolled.tasks.synthetic import one_hot

RNG = np.random.default_rng(0)
SYMBOLS = RNG.integers(4, size=(3, 21))
X, Y = one_hot(SYMBOLS[:, :-1], 4), SYMBOLS[:, 1:]


def writer(layers, seed=0, **options):
    how = {"return_sequences": True, "seed": seed} | options
    return SequenceClassifier(layers, 4, **how)


@pytest.mark.parametrize("cell", CELLS)
def test_measured_in_pieces_as_in_one(cell):
    model = writer([make(cell), Dense(3), GRU(3)])
    model.build(4)
    for steps in (1, 7, 20, 100):
        assert np.allclose(
            model.evaluate_stream(X, Y, steps=steps), model.evaluate(X, Y), atol=1e-6
        )


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_end_where_a_piece_begins(cell):
    """At a vanishing rate the pieces' updates add up to the truncated gradient."""
    rate = 1e-3
    how = {"optimizer": SGD(rate), "seed": 3}
    model, whole = writer(make(cell), **how), writer(make(cell), truncate=5, **how)
    for one in (model, whole):
        one.build(4)
    model, whole = model.astype("float64"), whole.astype("float64")
    model.optimizer.learning_rate = whole.optimizer.learning_rate = 1e-7
    before = model.get_weights()
    model.fit_stream(X, Y, steps=5, verbose=0)
    _, gradients, _ = whole.loss_and_gradients(X, Y)
    moved = [(b - a) / 1e-7 for a, b in zip(model.get_weights(), before, strict=True)]
    for name, move in zip(gradients, moved, strict=True):
        # Each of the four pieces takes the mean over its own steps.
        assert np.allclose(move, 4 * gradients[name], rtol=1e-4, atol=1e-6), name


def test_the_state_is_carried_on_and_begins_anew_with_each_epoch():
    """Shown by the loop that a reader would write."""
    model, by_hand = (writer(LSTM(5), optimizer=Adam(0.01)) for _ in range(2))
    history = model.fit_stream(X, Y, steps=8, epochs=2, verbose=0)
    losses = []
    for _ in range(2):
        state, total = None, 0.0
        for k in range(0, 20, 8):
            x, y = X[:, k : k + 8], Y[:, k : k + 8]
            total += x.shape[1] * by_hand.train_on_batch(x, y, state)["loss"]
            state = by_hand.state
        losses.append(total / 20)
    assert np.allclose(history.history["loss"], losses, rtol=1e-6)
    for a, b in zip(model.get_weights(), by_hand.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_an_ensemble_reads_streams_of_its_own():
    x, y = np.stack([X, X[::-1]]), np.stack([Y, Y[::-1]])
    many = writer(GRU(4), seed=[1, 2])
    alone = writer(GRU(4), seed=2)
    many.fit_stream(x, y, steps=6, epochs=2, verbose=0)
    alone.fit_stream(x[1], y[1], steps=6, epochs=2, verbose=0)
    for name, weight in alone.weights.items():
        assert np.array_equal(many.weights[name][1], weight), name
    loss, _ = many.evaluate_stream(x, y)
    assert loss.shape == (2,)
    assert loss[1] == alone.evaluate_stream(x[1], y[1])[0]


def test_a_regressor_reads_streams_too():
    model = SequenceRegressor(RNN(3), 2, return_sequences=True)
    history = model.fit_stream(X, X[..., :2], steps=6, epochs=2, verbose=0)
    assert history.epoch == [0, 1]
    loss = model.evaluate_stream(X, X[..., :2], steps=3)
    assert loss == pytest.approx(model.evaluate(X, X[..., :2]), rel=1e-5)


@pytest.mark.parametrize(
    ("model", "change", "says"),
    [
        (SequenceClassifier(RNN(2), 4), {}, "return_sequences is False"),
        (writer(Attention(2)), {}, "has Attention; expected recurrent layers"),
        (writer([RNN(2), Bidirectional(RNN(2))]), {}, "has Bidirectional"),
        (writer(RNN(2)), {"steps": 0}, "steps is 0"),
        (writer(RNN(2)), {"y": Y[:, :-1]}, "y has shape"),
    ],
)
def test_streams_that_cannot_be_read(model, change, says):
    with pytest.raises(ValueError, match=says):
        model.fit_stream(**({"x": X, "y": Y, "steps": 5} | change))


# Writing


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_have_the_probabilities_of_the_softmax(temperature):
    logits = np.array([0.3, -1.0, 1.2, 0.0])
    p = np.exp(log_softmax(logits / temperature))
    n = 40_000
    drawn = sample(np.tile(logits, (n, 1)), np.random.default_rng(1), temperature)
    spread = np.sqrt(p * (1 - p) / n)
    assert (np.abs(np.bincount(drawn, minlength=4) / n - p) < 5 * spread).all()


def test_extreme_temperatures_and_logits():
    rng = np.random.default_rng(0)
    logits = np.array([[0.0, 3.0, 3.0], [1e30, 0.0, -np.inf]], np.float32)
    assert sample(logits, rng, 0).tolist() == [1, 0]
    assert sample(logits, rng, 1e-300).tolist() in ([1, 0], [2, 0])
    even = sample(np.tile([0.0, 5.0, -5.0], (9000, 1)), rng, 1e9)
    assert (np.abs(np.bincount(even) / 9000 - 1 / 3) < 0.03).all()
    # An impossible class is never drawn.
    assert sample(np.tile([0.0, -np.inf], (100, 1)), rng, 5.0).max() == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([np.nan, 1.0], RNG), "with NaN"),
        (([np.inf, 1.0], RNG), "with infinity"),
        (([-np.inf, -np.inf], RNG), "without a possible class"),
        ((3.0, RNG), r"expected \(…, classes\)"),
        (([0.0, 1.0], RNG, -0.1), "temperature is -0.1"),
        (([0.0, 1.0], 7), "rng is 7"),
    ],
)
def test_draws_that_are_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        sample(*arguments)


@pytest.mark.parametrize("seed", [4, [4, 5]])
@pytest.mark.parametrize("cell", CELLS)
def test_what_is_written_step_by_step_is_what_a_whole_pass_predicts(cell, seed):
    model = writer([make(cell), Dropout(0.3), GRU(6)], seed=seed)
    model.fit(X, Y, epochs=3, verbose=0)
    start = SYMBOLS[:, :5]
    written = generate(model, start, 9, np.random.default_rng(0), temperature=0)
    assert written.shape == (*np.shape(seed), 3, 9)
    starts = np.broadcast_to(start, (*np.shape(seed), *start.shape))
    read = np.concatenate([starts, written], axis=-1)
    foreseen = model.predict(one_hot(read, 4)).argmax(axis=-1)
    assert np.array_equal(foreseen[..., 4:-1], written)


def test_the_beginning_and_the_seed_decide():
    model = writer(LSTM(8))
    model.build(4)
    first, again, other = (
        generate(model, SYMBOLS[:1, :3], 40, np.random.default_rng(s))
        for s in (0, 0, 1)
    )
    assert np.array_equal(first, again) and not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("model", "change", "says"),
    [
        (SequenceRegressor(RNN(2), 4, return_sequences=True), {}, "SequenceRegressor"),
        (SequenceClassifier(RNN(2), 4), {}, "return_sequences=True"),
        (writer(Attention(2)), {}, "has Attention"),
        (writer(RNN(2, features=3)), {}, "reads 3 features and has 4 classes"),
        (writer(RNN(2)), {}, "reads None features"),
        (writer(RNN(2, features=4)), {"start": [[4]]}, "start runs from 4 to 4"),
        (writer(RNN(2, features=4)), {"start": [1, 2]}, "start has shape"),
        (writer(RNN(2, features=4)), {"n": 0}, "n is 0"),
        (writer(RNN(2, features=4)), {"rng": 0}, "rng is 0"),
        (writer(RNN(2, features=4)), {"temperature": -1}, "temperature is -1"),
    ],
)
def test_what_cannot_write_is_refused(model, change, says):
    how = {"start": [[1, 2]], "n": 3, "rng": RNG} | change
    with pytest.raises(ValueError, match=says):
        generate(model, **how)
