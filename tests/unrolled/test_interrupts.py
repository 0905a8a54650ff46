"""Ctrl-C at any line: a model is as before, or as after some whole number of steps."""

import copy
import gc
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import unrolled
from tests.unrolled.test_layers import as_bytes
from unrolled import (
    GRU,
    LSTM,
    RNN,
    Adam,
    Bidirectional,
    Dropout,
    SequenceClassifier,
    Stack,
)
from unrolled.generators import get_states

pytestmark = pytest.mark.slow  # each traces thousands of lines

FOLDER = str(Path(unrolled.__file__).parent)
X = np.random.default_rng(0).normal(size=(5, 2, 3))
Y = np.array([0, 1, 1, 0, 1])
HOW = {"batch_size": 2, "epochs": 2, "verbose": 0, "validation_split": 0.2}


def lines_until(call, stop=None):
    """Count the package's lines that a call runs; press Ctrl-C before line `stop`."""
    count = 0

    def trace(frame, event, _):
        nonlocal count
        if not frame.f_code.co_filename.startswith(FOLDER):
            return None
        if event == "line":
            if count == stop:
                sys.settrace(None)
                raise KeyboardInterrupt
            count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


def interrupted(call, share):
    """Press Ctrl-C after this share of a call's lines; `call` makes a call anew."""
    stop = int(share * lines_until(call()))
    with pytest.raises(KeyboardInterrupt):
        lines_until(call(), stop)


def make(optimizer="adam", seed=3):
    layers = [Bidirectional(GRU(1)), Dropout(0.4), LSTM(1, recurrent_dropout=0.3)]
    return SequenceClassifier(layers, 2, optimizer=optimizer, seed=seed)


def everything(model):
    """All that further training depends on."""
    optimizer = model.optimizer
    arrays = [model.weights, {k: tuple(s) for k, s in optimizer.slots.items()}]
    settings = {k: v for k, v in vars(optimizer).items() if k != "slots"}
    return as_bytes(arrays), settings, get_states(model.rngs)


def steps_of(model):
    """What a model is after each step of a `fit` that nothing interrupts."""
    made = {}

    class Watched(Adam):
        def apply(self, *arguments, **options):
            super().apply(*arguments, **options)
            made[self.iterations] = everything(model)[0]

    model.build(3)
    made[0] = everything(model)[0]
    watched = Watched(global_clipnorm=1, weight_decay=0.1)
    model.optimizer = watched
    model.fit(X, Y, **HOW)
    return made


anywhere = st.floats(0, 1, exclude_max=True)


@settings(max_examples=25)
@given(share=anywhere, seed=st.sampled_from([3, [3, 4]]))
def test_fit(share, seed):
    adam = Adam(global_clipnorm=1, weight_decay=0.1)
    whole, model = steps_of(make(seed=seed)), None

    def call():
        nonlocal model
        model = make(adam, seed)
        return lambda: model.fit(X, Y, **HOW)

    interrupted(call, share)
    if model.built:
        assert everything(model)[0] == whole[model.optimizer.iterations]
    else:
        assert everything(model) == everything(make(adam, seed))
    if model.history is not None:
        assert {len(v) for v in model.history.history.values()} <= {
            len(model.history.epoch)
        }
    model.fit(X, Y, **HOW)


@settings(max_examples=15)
@given(share=anywhere, built=st.booleans())
def test_load(tmp_path_factory, share, built):
    path = tmp_path_factory.mktemp("load") / "model.npz"
    saved, start, model = make(), make(), None
    saved.fit(X, Y, **HOW)
    saved.save(path)
    if built:
        start.fit(X + 1, Y, epochs=1, verbose=0)

    def call():
        nonlocal model
        model = copy.deepcopy(start)
        return lambda: model.load(path)

    interrupted(call, share)
    assert everything(model) in (everything(start), everything(saved))
    assert model.built in (built, everything(model) == everything(saved))
    model.load(path)
    assert everything(model) == everything(saved)


# Python itself may be stopped inside `with`; the folder then goes a bit later.
@pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning")
@settings(max_examples=15)
@given(share=anywhere)
def test_save(tmp_path_factory, share):
    path = tmp_path_factory.mktemp("save") / "model.npz"
    old, new, read = make(), make(), make()
    old.fit(X, Y, **HOW)
    old.save(path)
    new.fit(X + 1, Y, **HOW)
    interrupted(lambda: lambda: new.save(path), share)
    gc.collect()
    read.load(path)
    assert everything(read) in (everything(old), everything(new))
    assert [one.name for one in path.parent.iterdir()] == ["model.npz"]


def test_set_weights():
    start = make()
    start.build(3)
    new = [w + 1 for w in start.get_weights()]
    either = [as_bytes(start.get_weights()), as_bytes(new)]
    lines = lines_until(lambda: copy.deepcopy(start).set_weights(new))
    for stop in range(lines - 60, lines):  # the checks come before, the copies last
        model = copy.deepcopy(start)
        with pytest.raises(KeyboardInterrupt):
            lines_until(lambda m=model: m.set_weights(new), stop)
        assert as_bytes(model.get_weights()) in either


@settings(max_examples=15)
@given(share=anywhere, number=st.integers(0, 4))
def test_build(share, number):
    def new():
        return [
            LSTM(2, seed=7),
            Dropout(0.2, seed=7),
            Bidirectional(GRU(2), seed=7),
            Stack([RNN(2), Bidirectional(Stack([LSTM(2)]))], seed=[7, 8]),
            SequenceClassifier([GRU(2), Dropout(0.1)], 3, seed=7),
        ][number]

    layer, whole = None, new()
    whole.build(3)

    def call():
        nonlocal layer
        layer = new()
        return lambda: layer.build(3)

    interrupted(call, share)
    if not layer.built:
        assert not layer.weights
        layer.build(3)
    assert as_bytes(layer.weights) == as_bytes(whole.weights)
    assert get_states(layer.rngs) == get_states(whole.rngs)
    layer.forward(X)


@settings(max_examples=15)
@given(share=anywhere)
def test_no_gradient_after_half_a_run(share):
    """`backward` never joins what two runs have left."""
    stack = Stack([LSTM(2), Bidirectional(GRU(2)), Dropout(0.5)], seed=0)
    stack.forward(X)
    copies, layer = stack, None

    def call():
        nonlocal layer
        layer = copy.deepcopy(copies)
        return lambda: layer.forward(X + 1, training=True)

    interrupted(call, share)
    dout = np.ones((5, 2, 4))
    expected = [copy.deepcopy(stack), copy.deepcopy(stack)]
    expected[1].forward(X + 1, training=True)
    try:
        got = as_bytes(layer.backward(dout))
    except ValueError as error:
        assert "has not run yet" in str(error)
    else:
        assert got in [as_bytes(one.backward(dout)) for one in expected]


class Stop(Exception):
    """What an initialiser raises."""


def fails_once():
    called = []

    def start(shape, rng):
        drawn = rng.normal(size=shape)
        if len(called) == 0:
            called.append(1)
            raise Stop
        return drawn

    return start


@pytest.mark.parametrize(
    "build",
    [
        lambda start: LSTM(2, bias_initializer=start),
        lambda start: Bidirectional(GRU(2, recurrent_initializer=start)),
        lambda start: Stack([LSTM(2), RNN(2, bias_initializer=start)]),
        lambda start: SequenceClassifier(
            [RNN(2), GRU(2, bias_initializer=start)], 2, seed=[1, 2]
        ),
    ],
)
def test_an_initialiser_that_fails_once(build):
    layer = build(fails_once())
    before = get_states(layer.rngs)
    for _ in range(1 + isinstance(layer, Bidirectional)):  # each direction has its own
        try:
            layer.build(3)
        except Stop:
            assert not layer.built and not layer.weights
            assert get_states(layer.rngs) == before
    if not layer.built:
        layer.build(3)
    again = build(lambda shape, rng: rng.normal(size=shape))
    again.build(3)
    assert as_bytes(layer.weights) == as_bytes(again.weights)


def test_layers_that_do_not_fit_are_not_half_built():
    lower, upper = LSTM(2), LSTM(2, 5)
    with pytest.raises(ValueError, match="layer 1 is built for 5 features"):
        Stack([lower, upper]).forward(X)
    assert not lower.built and not lower.weights
    other = Stack([lower, LSTM(2, 2)])
    other.forward(X)
    lower = LSTM(2)
    model = SequenceClassifier([lower, upper], 3)
    with pytest.raises(ValueError, match="layer 1 is built for 5 features"):
        model.fit(X, Y)
    assert not lower.built and not model.built
    with pytest.raises(ValueError, match="is built for 3 features already"):
        built = SequenceClassifier(LSTM(2), 3)
        built.build(3)
        built.build(4)


@pytest.mark.parametrize("seed", [0, [0, 1]])
def test_history_is_json(seed):
    model = SequenceClassifier(RNN(2), 3, seed=seed)
    history = model.fit(X, Y, **HOW).history
    if seed == 0:
        assert json.loads(json.dumps(history)) == history
        values = [v for of_name in history.values() for v in of_name]
        values += [*model.evaluate(X, Y), *model.train_on_batch(X, Y).values()]
        assert {type(v) for v in values} == {float}
    else:
        assert {v.shape for of_name in history.values() for v in of_name} == {(2,)}
