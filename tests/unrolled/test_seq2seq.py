"""Encoder and decoder: gradients, Keras's numbers, free writing, refusals."""

import numpy as np
import pytest

from unrolled import (
    GRU,
    LSTM,
    RNN,
    Adam,
    Attention,
    EncoderDecoder,
    SequenceClassifier,
    gradcheck,
)
from unrolled.tasks.synthetic import one_hot

CELLS = {"SimpleRNN": RNN, "LSTM": LSTM, "GRU": GRU}
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(5, 7, 3)), RNG.integers(4, size=(5, 6))

both = pytest.mark.parametrize("attention", [False, True])
each_cell = pytest.mark.parametrize("cell", CELLS)


def translator(cell, attention, **options):
    make = CELLS[cell]
    return EncoderDecoder(make(5), make(5), 4, attention=attention, **options)


@both
@each_cell
@pytest.mark.parametrize("seed", [0, [1, 2]])
def test_gradients_are_central_differences(cell, attention, seed):
    make = CELLS[cell]
    parts = make(3, recurrent_dropout=0.3), make(3)
    model = EncoderDecoder(*parts, 4, attention=attention, seed=seed)
    assert gradcheck(model, X[:2, :4], y=Y[:2, :3], training=True).passed


def in_keras(keras, cell, attention):
    layers = keras.layers
    kind = getattr(layers, cell)
    x, previous = keras.Input((7, 3)), keras.Input((6, 4))
    read, *state = kind(5, return_sequences=True, return_state=True)(x)
    h = kind(5, return_sequences=True)(previous, initial_state=state)
    if attention:  # "dot", as Luong has it
        h = layers.Concatenate()([h, layers.Attention()([h, read])])
    return keras.Model([x, previous], layers.Dense(4)(h))


@both
@each_cell
def test_outputs_and_training_are_keras_s(keras, cell, attention):
    ours, theirs = translator(cell, attention), in_keras(keras, cell, attention)
    ours.build(3)
    theirs.set_weights(ours.get_weights())
    previous = np.zeros((5, 6, 4), np.float32)
    previous[:, 1:] = one_hot(Y[:, :-1], 4)
    np.testing.assert_allclose(
        ours.forward(X, previous), theirs([X, previous]), atol=1e-5
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    theirs.compile("adam", loss)
    how = {"epochs": 4, "batch_size": 2, "shuffle": False, "verbose": 0}
    history, expected = ours.fit(X, Y, **how), theirs.fit([X, previous], Y, **how)
    np.testing.assert_allclose(
        history.history["loss"], expected.history["loss"], atol=2e-5
    )
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


@both
@pytest.mark.parametrize("seed", [0, [1, 2]])
def test_what_is_written_is_what_the_right_symbols_would_have_led_to(attention, seed):
    """If what is written were the right answer, each symbol would be the likeliest."""
    model = translator("GRU", attention, seed=seed)
    model.fit(X, Y, epochs=3, verbose=0)
    written = model.write(X, 9)
    assert written.shape == (*np.shape(seed), 5, 9)
    x = np.broadcast_to(X, (*np.shape(seed), *X.shape))
    assert np.array_equal(model.predict(x, written).argmax(axis=-1), written)


def test_an_ensemble_is_each_network_by_itself():
    many = translator("LSTM", attention=True, seed=[1, 2])
    alone = translator("LSTM", attention=True, seed=2)
    for model in (many, alone):
        model.fit(X, Y, epochs=2, verbose=0)
    for name, weight in alone.weights.items():
        assert np.array_equal(many.weights[name][1], weight), name
    assert np.array_equal(many.write(X, 4)[1], alone.write(X, 4))


def test_attention_finds_what_to_copy():
    """Symbols in reverse order: each output looks at its own input."""
    rng = np.random.default_rng(1)
    symbols = rng.integers(5, size=(2000, 6))
    model = EncoderDecoder(
        GRU(24), GRU(24), 5, attention=True, optimizer=Adam(0.01), seed=0
    )
    model.fit(one_hot(symbols, 5), symbols[:, ::-1], epochs=6, verbose=0)
    new = rng.integers(5, size=(50, 6))
    assert (model.write(one_hot(new, 5), 6) == new[:, ::-1]).mean() > 0.95
    model.predict(one_hot(new, 5), new[:, ::-1], batch_size=50)
    alpha = model.body.activations()["alpha"]
    assert alpha.shape == (50, 6, 6)
    assert np.allclose(alpha.sum(axis=-1), 1, atol=1e-5)


def test_one_symbol_needs_none_before_it():
    model = translator("SimpleRNN", attention=False)
    model.fit(X, Y[:, :1], verbose=0)
    assert model.write(X, 1).shape == (5, 1)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: EncoderDecoder(Attention(3), GRU(3), 4), "encoder is"),
        (lambda: EncoderDecoder(GRU(3), "GRU", 4), "decoder is"),
        (lambda: EncoderDecoder(GRU(3), GRU(4), 4), "expected the same"),
        (lambda: EncoderDecoder(LSTM(3), GRU(3), 4), "expected the same"),
        (lambda: EncoderDecoder(GRU(3), GRU(3), 0), "outputs is 0"),
        (lambda: translator("GRU", False).fit(X, Y[:3]), "y has shape"),
        (lambda: translator("GRU", False).fit(X, Y + 1), "y runs from"),
        (lambda: translator("GRU", False).fit(X, 3), "y has shape"),
        (lambda: translator("GRU", False).write(X, 0), "steps is 0"),
        (lambda: translator("GRU", False).write(X, 2, temperature=1), "rng is None"),
        (lambda: translator("GRU", False).fit_stream(X, Y, steps=2), "has Decoding"),
        (
            lambda: translator("GRU", False).train_on_batch(X, Y, (np.zeros((5, 5)),)),
            "initial_state is given",
        ),
    ],
)
def test_what_does_not_fit_is_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_weights_of_attention_are_refused_where_there_is_none():
    model = translator("GRU", attention=False)
    with pytest.raises(ValueError, match="has not run yet"):
        model.body.activations()
    model.fit(X, Y, verbose=0)
    with pytest.raises(ValueError, match="attention is False"):
        model.body.activations()


def test_it_is_saved_and_resumed(tmp_path):
    saved, loaded = (translator("LSTM", attention=True) for _ in range(2))
    saved.fit(X, Y, verbose=0)
    saved.save(tmp_path / "model.npz")
    loaded.load(tmp_path / "model.npz")
    for model in (saved, loaded):
        model.fit(X, Y, epochs=2, verbose=0)
    for a, b in zip(saved.get_weights(), loaded.get_weights(), strict=True):
        assert np.array_equal(a, b)
    with pytest.raises(ValueError, match="does not fit"):
        translator("LSTM", attention=False).load(tmp_path / "model.npz")


def test_it_is_a_classifier_to_whoever_asks():
    assert isinstance(translator("GRU", attention=True), SequenceClassifier)
