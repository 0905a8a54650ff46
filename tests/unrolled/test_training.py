"""Fitting: equal to Keras's, to itself in an ensemble, and to itself after a pause."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT
from unrolled import (
    GRU,
    LSTM,
    RNN,
    SGD,
    Adam,
    Bidirectional,
    Dropout,
    SequenceClassifier,
    SequenceRegressor,
)
from unrolled.tasks import adding_problem, copy_memory, marker_at_start


def digits_like(n=90, steps=7, features=4, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.random((n, steps, features), dtype=np.float32)
    return x, (classes * x[:, 0, 0]).astype(int)


def deep():
    return [LSTM(5, recurrent_dropout=0.2), Dropout(0.3), Bidirectional(GRU(4))]


def same(a, b):
    return all((x == y).all() for x, y in zip(a, b, strict=True))


@settings(max_examples=8)
@given(
    seeds=st.lists(st.integers(0, 99), min_size=1, max_size=3),
    batch_size=st.integers(1, 40),
    own_data=st.booleans(),
    classify=st.booleans(),
)
def test_an_ensemble_is_its_networks_one_by_one(seeds, batch_size, own_data, classify):
    kind, outputs = (SequenceClassifier, 3) if classify else (SequenceRegressor, 1)
    data = [digits_like(40, seed=seed if own_data else 0) for seed in range(len(seeds))]
    x, y = (np.stack(part) for part in zip(*data, strict=True))
    how = {"epochs": 2, "batch_size": batch_size, "validation_split": 0.25}
    optimizer = Adam(0.01, global_clipnorm=0.1, weight_decay=0.1)
    ensemble = kind(deep(), outputs, seed=seeds, optimizer=optimizer)
    data = (x, y) if own_data else (x[0], y[0])
    history = ensemble.fit(*data, **how, verbose=0).history
    measured = ensemble.evaluate(x, y)
    for k, seed in enumerate(seeds):
        alone = kind(deep(), outputs, seed=seed, optimizer=optimizer)
        of_alone = alone.fit(x[k], y[k], **how, verbose=0).history
        assert same(alone.get_weights(), [w[k] for w in ensemble.get_weights()])
        for name, values in of_alone.items():
            assert same(values, [value[k] for value in history[name]]), name
        assert same(alone.predict(x[k]), ensemble.predict(x)[k])
        assert np.array_equal(alone.evaluate(x[k], y[k]), np.array(measured)[..., k])


@pytest.mark.parametrize("seed", [4, [4, 5]])
@pytest.mark.parametrize("optimizer", [Adam(0.01), SGD(0.1, momentum=0.9)])
def test_resumed_training_gives_the_same_bits(seed, optimizer, tmp_path):
    x, y = digits_like()
    how = {"batch_size": 16, "verbose": 0}
    first = SequenceClassifier(deep(), 3, seed=seed, optimizer=optimizer)
    first.fit(x, y, epochs=2, **how)
    first.save(tmp_path / "run.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"]
    second = SequenceClassifier(deep(), 3, seed=seed, optimizer=optimizer)
    second.load(tmp_path / "run.npz")
    went_on = first.fit(x, y, epochs=2, **how).history
    resumed = second.fit(x, y, epochs=2, **how).history
    assert same(first.get_weights(), second.get_weights())
    assert all(np.array_equal(went_on[name], resumed[name]) for name in went_on)


def test_fit_twice_is_fit_once_longer():
    x, y = digits_like()
    once, twice = (SequenceClassifier(deep(), 3, seed=1) for _ in range(2))
    losses = once.fit(x, y, epochs=4, verbose=0).history["loss"]
    parts = [twice.fit(x, y, epochs=2, verbose=0).history["loss"] for _ in range(2)]
    assert losses == parts[0] + parts[1]
    assert same(once.get_weights(), twice.get_weights())


def test_same_seed_same_bits_other_seed_other_bits():
    x, y = digits_like()
    one, same_seed, other = (SequenceClassifier(deep(), 3, seed=s) for s in (1, 1, 2))
    for model in (one, same_seed, other):
        model.fit(x, y, verbose=0)
    assert same(one.get_weights(), same_seed.get_weights())
    assert not any(
        (a == b).all() and a.any()
        for a, b in zip(one.get_weights(), other.get_weights(), strict=True)
    )


def test_a_copy_in_float64_trains_in_float64():
    x, y = digits_like()
    model = SequenceClassifier(LSTM(4), 3)
    model.fit(x, y, verbose=0)
    before = model.get_weights()
    other = model.astype("float64")
    assert all((a == b).all() for a, b in zip(before, other.get_weights(), strict=True))
    other.fit(x, y, verbose=0)
    slots = [slot for slots in other.optimizer.slots.values() for slot in slots]
    assert {a.dtype.name for a in [*other.get_weights(), *slots]} == {"float64"}
    assert same(model.get_weights(), before)


def test_data_stays_as_it_is():
    x, y = digits_like()
    before = x.copy(), y.copy()
    model = SequenceClassifier(LSTM(4), 3)
    model.fit(x, y, validation_split=0.5, verbose=0)
    model.evaluate(x, y)
    model.predict(x)
    assert same((x, y), before)


def test_the_optimiser_given_stays_as_it_is():
    adam = Adam()
    SequenceClassifier(LSTM(4), 3, optimizer=adam).fit(*digits_like(), verbose=0)
    assert adam.iterations == 0
    assert adam.slots == {}


def test_validation_takes_the_end_before_shuffling():
    x, y = digits_like(100)
    split, given_data = (SequenceClassifier(GRU(4), 3) for _ in range(2))
    a = split.fit(x, y, validation_split=0.3, verbose=0).history
    rest = (x[70:], y[70:])
    b = given_data.fit(x[:70], y[:70], validation_data=rest, verbose=0).history
    assert a == b
    loss, accuracy = split.evaluate(*rest)
    assert a["val_loss"][-1] == pytest.approx(loss, rel=1e-5)
    assert a["val_accuracy"][-1] == pytest.approx(accuracy)


def test_targets_for_every_step():
    task = copy_memory(40, 5, np.random.default_rng(0))
    model = SequenceClassifier(RNN(8), task.classes, return_sequences=True)
    first = model.fit(task.x, task.y, epochs=1, verbose=0).history["loss"][0]
    last = model.fit(task.x, task.y, epochs=40, verbose=0).history["loss"][-1]
    assert model.predict(task.x).shape == (40, 25, 9)
    np.testing.assert_allclose(model.predict(task.x).sum(-1), 1, rtol=1e-5)
    assert last < first


def test_a_stream_in_pieces_is_the_stream():
    """The state handed on: outputs over two halves are those over the whole."""
    x, _ = digits_like()
    model = SequenceRegressor([LSTM(4), RNN(3)], 2, return_sequences=True)
    whole = model.forward(x)
    first = model.forward(x[:, :3])
    second = model.forward(x[:, 3:], model.state)
    np.testing.assert_allclose(np.concatenate([first, second], 1), whole, atol=1e-6)


def test_truncation_reaches_the_layers():
    """With gradients cut at every step, the past has no share in the gradient."""
    x, y = digits_like()
    whole, cut = (SequenceClassifier(RNN(4), 3, truncate=k) for k in (None, 1))
    for model in (whole, cut):
        model.build(4)
    h_before, _ = cut.body.forward(x[:, :-1])
    _, of_whole, _ = whole.loss_and_gradients(x, y)
    _, of_cut, _ = cut.loss_and_gradients(x, y)
    _, dlogits = cut.loss(cut.forward(x), y)
    dh, _, _ = cut.head.backward(dlogits)
    h = cut.body.activations()["h"]
    expected = h_before[:, -1].T @ (dh * (1 - h[:, -1] ** 2))
    np.testing.assert_allclose(of_cut["body/recurrent_kernel"], expected, atol=1e-6)
    assert not np.allclose(of_whole["body/recurrent_kernel"], expected, atol=1e-6)


@pytest.mark.parametrize("cell", [RNN, LSTM, GRU])
def test_learns_what_it_can_and_not_what_is_not_there(cell):
    """Seeds 0-4: a marker eight steps back is found; random labels are not."""
    rng = np.random.default_rng(7)
    task, new = (marker_at_start(256, 8, rng) for _ in range(2))
    model = SequenceClassifier(cell(16), 2, optimizer=Adam(0.01), seed=range(5))
    model.fit(task.x, task.y, epochs=25, verbose=0)
    _, accuracy = model.evaluate(new.x, new.y)
    assert (accuracy > 0.95).all()
    _, guessed = model.evaluate(new.x, rng.integers(2, size=256))
    # 256 throws of a coin: a standard deviation is 1/32, and five of them hold for all.
    assert (abs(guessed - 0.5) < 5 / 32).all()


def test_regression_beats_the_mean():
    task = adding_problem(512, 4, np.random.default_rng(0))
    model = SequenceRegressor(LSTM(16), 1, optimizer=Adam(0.01), seed=[0, 1])
    model.fit(task.x, task.y, epochs=20, verbose=0)
    assert (
        model.evaluate(task.x, task.y) < task.baselines["predict the mean"] / 2
    ).all()


def test_what_fit_says(capfd):
    x, y = digits_like(20)
    model = SequenceClassifier(RNN(2), 3)
    model.fit(x, y, verbose=0)
    model.fit(x, y)  # shorter than the bar's delay
    assert capfd.readouterr() == ("", "")
    model.fit(x, y, epochs=2, verbose=2)
    out, err = capfd.readouterr()
    assert [line[:9] for line in out.splitlines()] == ["Epoch 1/2", "Epoch 2/2"]
    assert err == ""


def test_a_long_fit_shows_a_bar(capfd, monkeypatch):
    import tqdm

    class Impatient(tqdm.tqdm):
        def __init__(self, **how):
            super().__init__(**how | {"delay": 0, "mininterval": 0})

    monkeypatch.setattr(tqdm, "tqdm", Impatient)
    x, y = digits_like(20)
    SequenceClassifier(RNN(2), 3).fit(x, y, epochs=2, batch_size=10)
    assert "4/4" in capfd.readouterr().err


def test_the_example_in_the_readme_runs(capsys):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    exec(example, {})
    out = capsys.readouterr().out
    assert "WRONG" not in out
    assert "recurrent_kernel" in out
