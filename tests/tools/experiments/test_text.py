"""The recorded run of page 4.11, on a text so short that it takes a second."""

import numpy as np
import pytest

from tools.experiments.recorded import text as script
from unrolled import GRU, LSTM, RNN, SequenceClassifier
from unrolled.tasks.text import Text

RNG = np.random.default_rng(0)


def write(n):
    """Words of a small language, so that there is something to learn."""
    return " ".join(RNG.choice(["ab", "abba", "cab", "dada"], size=n)) + "\n"


@pytest.fixture(autouse=True)
def short(monkeypatch):
    text = Text(
        training={"a": write(900), "b": write(900)},
        validation={"c": write(100)},
        test={str(k): write(300) for k in range(10)},
        source="python",
        origin="Text: short.",
        is_known=True,
        name="short",
    )
    monkeypatch.setattr(script, "load_text", lambda: text)
    monkeypatch.setattr(script, "ORDER", 4)
    monkeypatch.setattr(script, "STREAMS", 4)
    monkeypatch.setattr(script, "PIECE", 30)
    monkeypatch.setattr(script, "EPOCHS", 2)
    monkeypatch.setattr(script, "EPOCHS_OF_SEARCH", 2)
    monkeypatch.setattr(script, "NETWORKS", {"LSTM": (LSTM, 8), "GRU": (GRU, 9)})
    return text


def test_each_case_makes_a_row_and_repeats_its_beginning():
    columns = []
    for case in script.cases([])[:2]:
        row = script.run(case)
        columns.append(list(row))
        numbers = np.array([float(value) for value in row.values()])
        assert np.isfinite(numbers).all()
        again = script.run(case, updates=script.EARLY)["early_loss"]
        assert again == pytest.approx(row["early_loss"], abs=1e-6)
    assert columns[0] == columns[1]
    counted, learned = script.run(script.cases([])[0]), row
    files = [counted[f"file_{k}"] for k in range(10)]
    assert counted["test"] == pytest.approx(np.mean(files), abs=1e-5)
    assert 0 < counted["validation"] < 2  # of at most log2(7) bits
    # What is mixed is no worse than the table on the text that it was chosen on.
    mixed = np.mean([learned[f"mixed_{k}"] for k in range(10)])
    assert mixed < max(counted["test"], learned["test"]) + 0.01
    assert abs(learned["lost_1000"]) < 0.5 and learned["epochs"] == 2


def test_the_best_of_the_search_is_trained_anew():
    cases = script.cases([])
    search = [case for case in cases if case["trial"] == "search"]
    assert [case["network"] for case in search] == ["LSTM"] * 4 + ["GRU"] * 4
    rows = []
    for case in search[:4]:
        score = abs(case["rate"] - 0.003) + abs(case["dropout"] - 0.2)
        rows.append({k: str(v) for k, v in case.items()} | {"validation": str(score)})
    assert not [c for c in script.cases(rows[:3]) if c["trial"] == "final"]
    final = [c for c in script.cases(rows) if c["trial"] == "final"]
    assert [(c["network"], c["rate"], c["dropout"]) for c in final] == [
        ("LSTM", 0.003, 0.2)
    ] * 3
    assert [c["seed"] for c in final] == [0, 1, 2] and script.TRIAL not in script.SEEDS


def test_training_stops_and_keeps_the_best(monkeypatch):
    scores = iter([3.0, 2.0, 2.5, 2.4, 2.2, 1.0])
    marks = []

    def surprise(model, ids):
        marks.append(model.get_weights())
        return np.array([next(scores)])

    monkeypatch.setattr(script, "surprise", surprise)
    reading = script.Reading()
    model = SequenceClassifier(
        LSTM(4), reading.size, return_sequences=True, optimizer="adam"
    )
    model.build(reading.size)
    rate = model.optimizer.learning_rate
    _, best, epochs = script.train(model, reading, 40)
    assert (best, epochs) == (2.0, 5)  # three epochs without improvement
    for mine, kept in zip(model.get_weights(), marks[1], strict=True):
        assert np.array_equal(mine, kept)
    assert model.optimizer.learning_rate == pytest.approx(rate / 8)


def test_surprise_is_that_of_the_whole_text_read_at_once():
    reading = script.Reading()
    model = SequenceClassifier(LSTM(4), reading.size, return_sequences=True, seed=1)
    model.build(reading.size)
    ids = reading.test[:500]
    x = script.one_hot(ids[None, :-1], reading.size)
    logp = script.log_softmax(model.forward(x))[0]
    expected = -logp[np.arange(499), ids[1:]] / np.log(2)
    one_row = script.surprise(model, ids, length=400, ahead=100)
    assert np.allclose(one_row, expected[99:], atol=1e-5)
    short_rows = script.surprise(model, ids, length=70, ahead=100)
    assert short_rows.shape == one_row.shape  # five rows, the last one not full
    assert np.allclose(short_rows[:70], one_row[:70], atol=1e-5)
    cold = script.surprise(model, ids[99:], length=400, ahead=1)
    state_of_zero = script.log_softmax(
        model.forward(script.one_hot(ids[None, 99:100], reading.size))
    )
    first = -state_of_zero[0, 0, ids[100]] / np.log(2)
    assert cold[0] == pytest.approx(first, abs=1e-5)


def test_networks_have_as_many_weights(monkeypatch):
    sizes = {"LSTM": (LSTM, 256), "GRU": (GRU, 300), "RNN": (RNN, 532)}
    monkeypatch.undo()
    assert sizes == script.NETWORKS
    counts = []
    for cell, units in sizes.values():
        model = SequenceClassifier(cell(units), 96, return_sequences=True)
        model.build(96)
        counts.append(model.count_params())
    assert max(counts) < 1.005 * min(counts)


def test_another_text_is_refused(short, monkeypatch):
    changed = Text(**{**vars(short), "is_known": False})
    monkeypatch.setattr(script, "load_text", lambda: changed)
    with pytest.raises(ValueError, match=r"Text: short\. Expected Python's library"):
        script.run(script.cases([])[0])
