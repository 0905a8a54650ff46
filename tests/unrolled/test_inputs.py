"""What comes in is left as it was, and refused by name where it is wrong."""

import numpy as np
import pytest

from tests.unrolled.test_layers import CELLS, KINDS, as_bytes, each, flat, make, problem
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
    SequenceRegressor,
    Stack,
    clip_by_global_norm,
    gradcheck,
    jacobians,
)
from unrolled.generators import get_states
from unrolled.losses import mean_squared_error, softmax_cross_entropy

LAYERS = [*KINDS, "Dense", "attention"]
X, Y = np.zeros((4, 5, 3)), np.array([0, 1, 2, 0])
N = np.zeros


def classifier(layers=None, outputs=3, **options):
    return SequenceClassifier(
        [LSTM(2)] if layers is None else layers, outputs, **options
    )


def regressor(**options):
    return SequenceRegressor(LSTM(2, 3), 1, **options)


def ran(kind="LSTM", **options):
    """A layer of 4 units that has run over X."""
    layer = make(kind, 4, **options)
    layer.forward(np.zeros((2, *X.shape)) if "seed" in options else X)
    return layer


def dropped():
    layer = Dropout(0.5)
    layer.forward(X, training=True)
    return layer


def fitted(model=None):
    model = model or classifier()
    model.fit(X, Y if isinstance(model, SequenceClassifier) else Y[:, None] * 1.0)
    return model


@each("dtype", ["float32", "float64"])
@each("kind", LAYERS)
def test_inputs_stay_as_they_are(kind, dtype):
    layer, x, state, like = problem(kind, (2, 3, 3, 2), dtype=dtype)
    out, after = layer.forward(x, state)
    weights = like(layer.get_weights())
    given = [x, state, like([out])[0], like(after), weights]
    before = as_bytes(given)
    layer.set_weights(weights)
    layer.forward(x, state, training=True)
    once = layer.backward(*given[2:4], truncate=2)
    assert as_bytes(layer.backward(*given[2:4], truncate=2)) == as_bytes(once)
    state_of_layer = as_bytes(layer.get_weights())
    gradcheck(layer, x, state, training=True)
    if kind in CELLS:
        jacobians(layer, x, state)
    for array in layer.get_weights():
        array += 1
    assert as_bytes(layer.get_weights()) == state_of_layer == before[-len(weights) :]
    layer.weights[next(iter(layer.weights))][...] = 7
    assert as_bytes(given) == before


@each("kind", LAYERS)
def test_backward_is_of_what_forward_saw(kind):
    layer, x, state, _ = problem(kind)
    out, after = layer.forward(x, state)
    before = as_bytes(layer.backward(np.cos(out), after))
    for given in (x, *state):
        given += 1
    assert as_bytes(layer.backward(np.cos(out), after)) == before


@each("kind", LAYERS)
def test_backward_is_of_the_weights_that_forward_used(kind):
    layer, x, state, _ = problem(kind)
    out, after = layer.forward(x, state)
    before = as_bytes(layer.backward(np.cos(out), after))
    layer.set_weights([w + 1 for w in layer.get_weights()])
    assert as_bytes(layer.backward(np.cos(out), after)) == before
    with pytest.raises(ValueError, match="has not run yet"):
        layer.astype("float64").backward(np.cos(out), after)


@each("kind", KINDS)
def test_results_stay_as_they_are(kind):
    layer, x, state, _ = problem(kind)
    results = [layer.forward(x, state), layer.forward(x, return_sequences=False)]
    results += [layer.activations()] if kind in CELLS else []
    back = layer.backward(None, state)
    before = as_bytes([results, back])
    layer.forward(x + 1, state)
    layer.backward(None, state)
    assert as_bytes([results, back]) == before
    assert not any(a.flags.writeable for a in flat(results))


def test_gradcheck_leaves_a_model_alone():
    model = classifier(LSTM(2, 3))
    model.forward(X)
    before = model.state, get_states(model.rngs), model.get_weights()
    gradcheck(model, X + 1, y=Y)
    assert get_states(model.rngs) == before[1]
    assert as_bytes(model.get_weights()) == as_bytes(before[2])
    assert as_bytes(model.state) == as_bytes(before[0])


def whole(kind):
    layer = make(kind, 4)
    layer.build(3)
    return layer


TAKES_X = {kind: lambda x, kind=kind: whole(kind).forward(x) for kind in LAYERS} | {
    "new": lambda x: LSTM(4).forward(x),
    "ensemble": lambda x: LSTM(4, 3, seed=[1, 2]).forward(x),
    "fit": lambda x: fitted().fit(x, Y),
    "predict": lambda x: fitted().predict(x),
    "evaluate": lambda x: fitted().evaluate(x, Y),
    "train_on_batch": lambda x: fitted().train_on_batch(x, Y),
    "model.forward": lambda x: classifier().forward(x),
    "gradcheck": lambda x: gradcheck(LSTM(4, 3), x),
    "gradcheck model": lambda x: gradcheck(fitted(), x, y=Y),
    "jacobians": lambda x: jacobians(LSTM(4, 3), x),
}
NAN, INF, BIG = (np.full(X.shape, v) for v in (np.nan, -np.inf, 1e300))
BAD_X = {
    "no axis": (0.0, r"shape \(\); expected \("),
    "one axis": (N(3), r"shape \(3,\); expected +\("),
    "features": (N((4, 5, 2)), r"shape \(4, 5, 2\); expected \(.*3\)"),
    "axes": (N((2, 2, 4, 5, 3)), r"shape \(2, 2, 4, 5, 3\); expected \("),
    "no batch": (N((0, 5, 3)), r"shape \(0, 5, 3\); expected .* no axis empty"),
    "no time": (N((4, 0, 3)), r"shape \(4, 0, 3\); expected .* no axis empty"),
    "no features": (N((4, 5, 0)), r"shape \(4, 5, 0\); expected .* no axis empty"),
    "NaN": (NAN, "NaN or infinity; expected finite numbers"),
    "infinity": (INF, "NaN or infinity; expected finite numbers"),
    "object": (X.astype(object), "dtype object; expected real numbers"),
    "None": (None, "NoneType; expected an array"),
    "strings": (X.astype(str), "dtype <U.*; expected real numbers"),
    "complex": (X * 1j, "dtype complex128; expected real numbers"),
    "ragged": ([[[1, 2, 3]], [[1, 2]]], r"ragged; expected an array of shape \("),
}


@each("bad", BAD_X)
@each("take", TAKES_X)
def test_bad_x(take, bad):
    x, says = BAD_X[bad]
    fine = {("Dense", "axes"), ("new", "features"), ("model.forward", "features")}
    if (take, bad) in fine:
        TAKES_X[take](x)
        return
    with pytest.raises(ValueError, match=f"^x (has|is|holds).*{says}"):
        TAKES_X[take](x)


def states_of(kind, *states):
    return lambda: ran(kind).forward(X, states)


B = (4, 4)
H, DOUT = N(B), N((4, 5, 4))
REFUSED = [
    # numbers and names
    *((f"^units is {u!r}; expected", lambda u=u, k=k: k(u)) for k in (RNN, GRU, Dense)
      for u in (0, -1, 2.5, "4", True)),
    ("^outputs is 0; expected", lambda: classifier(outputs=0)),
    ("^outputs is 2.5; expected", lambda: classifier(outputs=2.5)),
    ("^features is 0; expected an integer >= 1", lambda: LSTM(2, 0)),
    ("^features is 1.5; expected an integer", lambda: LSTM(2).build(1.5)),
    ("^dtype is int32; expected 'float32' or", lambda: LSTM(2, dtype="int32")),
    ("^dtype is .*flaot.*; expected 'float32' or", lambda: RNN(2, dtype="flaot")),
    ("^dtype is None; expected 'float32' or", lambda: RNN(2, dtype=None)),
    ("^dtype is int32; expected", lambda: LSTM(2, 3).astype("int32")),
    ("^seed is -1; expected an integer >= 0", lambda: LSTM(2, seed=-1)),
    ("^seed is 0.5; expected an integer", lambda: Dense(2, seed=0.5)),
    ("^seed is None; expected an integer", lambda: classifier(seed=None)),
    ("^seed is -2; expected an integer >= 0", lambda: LSTM(2, seed=[1, -2])),
    ("^seed is an empty list; expected", lambda: classifier(seed=[])),
    *((rf"^rate is {r!r}; expected a number in \[0, 1\)", lambda r=r: Dropout(r))
      for r in (1, -0.1, 1.5, np.nan, "half", None)),
    (r"^recurrent_dropout is 1; .* \[0, 1\)", lambda: LSTM(2, recurrent_dropout=1)),
    ("^kernel_initializer is 'he'; expected", lambda: LSTM(2, kernel_initializer="he")),
    (r"^kernel_initializer is \[\]; expected", lambda: RNN(2, kernel_initializer=[])),
    ("^bias_initializer is None; expected", lambda: GRU(2, bias_initializer=None)),
    ("^peephole_initializer is 'x'; expected",
     lambda: make("peephole LSTM", peephole_initializer="x")),
    (r"^initial kernel has shape \(2, 2\); expected \(3, 2\)",
     lambda: RNN(2, 3, kernel_initializer=lambda shape, rng: N((2, 2)))),
    (r"^initial kernel has shape \(1, 3, 2\); expected \(3, 2\)",
     lambda: RNN(2, 3, kernel_initializer=lambda shape, rng: N((1, *shape)))),
    ("^forget_bias is 'one'; expected", lambda: LSTM(2, forget_bias="one")),
    ("^forget_bias is nan; expected", lambda: LSTM(2, forget_bias=np.nan)),
    ("^optimizer is 'adm'; expected one of 'sgd', 'adam'",
     lambda: classifier(optimizer="adm")),
    (r"^optimizer is \[\]; expected one of", lambda: classifier(optimizer=[])),
    ("^learning_rate is -1; expected", lambda: SGD(-1)),
    ("^learning_rate is nan; expected", lambda: Adam(np.nan)),
    ("^momentum is 1; expected", lambda: SGD(momentum=1)),
    ("^beta_1 is 1; expected", lambda: Adam(beta_1=1)),
    ("^weight_decay is -1; expected", lambda: SGD(weight_decay=-1)),
    ("^global_clipnorm is 0; expected", lambda: SGD(global_clipnorm=0)),
    ("^global_clipnorm is '1'; expected", lambda: SGD(global_clipnorm="1")),
    ("^max_norm is -1; expected", lambda: clip_by_global_norm({"w": N(2)}, -1)),
    ("^max_norm is 0; expected", lambda: clip_by_global_norm({"w": N(2)}, 0)),
    (r"^gradients has .*\(3,\).*; expected .*\(2,\)",
     lambda: SGD().apply({"w": N(2)}, {"w": N(3)})),
    # what layers are put together
    ("^layers is empty; expected at least one", lambda: Stack([])),
    ("^layers is empty; expected at least one", lambda: classifier([])),
    ("^layers.*; expected", lambda: classifier("LSTM")),
    ("^layer 1 is 3; expected a layer", lambda: Stack([LSTM(2), 3])),
    ("^layer 1 has dtype float64; expected float32",
     lambda: Stack([RNN(2), RNN(2, dtype="float64")])),
    ("^layer backward has dtype float64; expected float32",
     lambda: Bidirectional(RNN(2), RNN(2, dtype="float64"))),
    ("^layer 1 is built for 5 features; expected 2",
     lambda: Stack([LSTM(2), LSTM(2, 5)]).forward(X)),
    ("^layer backward is built for 5 features; expected 3",
     lambda: Bidirectional(LSTM(2), LSTM(2, 5)).forward(X)),
    ("built for a single network; expected an ensemble of 2",
     lambda: Stack([LSTM(2, 3)], seed=[1, 2]).forward(X)),
    ("built for an ensemble of 2; expected a single network",
     lambda: classifier(LSTM(2, 3, seed=[1, 2])).forward(X)),
    ("twice|same layer", lambda: Stack([RNN(3)] * 2).forward(X)),
    ("twice|same layer", lambda: Bidirectional(*[RNN(3)] * 2).forward(X)),
    # states, and what is sent back
    (r"^initial_state is tuple of length 1; expected a tuple of 2: \(h, c\)",
     states_of("LSTM", H)),
    (r"^initial_state is tuple of length 3; expected a tuple of 2: \(h, c\)",
     states_of("LSTM", H, H, N(3))),
    ("^initial_state is ndarray.*; expected a tuple of 1",
     lambda: ran("GRU").forward(X, H)),
    (r"^initial_state\[1\] has shape \(4, 3\); expected \(4, 4\)",
     states_of("LSTM", H, N((4, 3)))),
    (r"^initial_state\[0\] holds NaN", states_of("RNN", H + np.nan)),
    (r"^initial_state\[0\] has shape \(4, 4\); expected \(2, 4, 4\)",
     lambda: ran(seed=[1, 2]).forward(X, (H, H))),
    ("^initial_state .*length 2; .* tuple of 4", states_of("Bidirectional", H, H)),
    ("^initial_state .*length 2; .* tuple of 3", states_of("Stack", H, N(5))),
    *(("^initial_state is .*; expected a tuple of 1",
       lambda s=s: ran("RNN").forward(X, s)) for s in (3, np.array(3.0), np.ma.masked)),
    ("^weights is ndarray; expected a list of 3 arrays",
     lambda: whole("RNN").set_weights(np.array(3.0))),
    ("^layers is .*; expected a list of layers", lambda: Stack(np.array(3.0))),
    ("^initial_state .*length 3", lambda: fitted().train_on_batch(X, Y, (H,) * 3)),
    *((rf"^dout has shape \(4, 4\); expected \(4, 5, {n}\)",
       lambda k=k: ran(k).backward(H))
      for k, n in zip(LAYERS, [4] * 5 + [8, 5, 4, 4], strict=True)),
    (r"^dout has shape \(4, 4\); expected \(4, 5, 3\)", lambda: dropped().backward(H)),
    ("^dout holds NaN", lambda: ran().backward(DOUT * np.nan)),
    (r"^dstate\[1\] has shape \(4, 3\)", lambda: ran().backward(None, (H, N((4, 3))))),
    ("^dstate .*length 1; expected a tuple of 2", lambda: ran().backward(None, (H,))),
    *(("has not run yet; call forward", lambda k=k: whole(k).backward(DOUT))
      for k in LAYERS),
    ("has not run yet; call forward", lambda: Dropout(0.5).backward(DOUT)),
    ("has not run yet; call forward", lambda: LSTM(2, 3).activations()),
    *((f"^truncate is {k!r}; expected", lambda k=k: ran().backward(DOUT, truncate=k))
      for k in (0, -1, 1.5)),
    ("^truncate is 0; expected an integer >= 1", lambda: classifier(truncate=0)),
    ("^layer is LSTM, networks: 2; expected", lambda: jacobians(ran(seed=[1, 2]), X)),
    ("^layer is Stack, .*; expected an RNN", lambda: jacobians(ran("Stack"), X)),
    ("^layer is Dense, .*; expected an RNN", lambda: jacobians(ran("Dense"), X)),
    ("^step is 0; expected", lambda: gradcheck(LSTM(2), X, step=0)),
    ("^y is None; expected", lambda: gradcheck(fitted(), X)),
    # labels and targets
    ("^y runs from 0 to 3; expected 0 to 2", lambda: fitted().fit(X, Y + Y // 2)),
    ("^y runs from -1 to 1; expected 0 to 2", lambda: fitted().evaluate(X, Y - 1)),
    ("^y holds fractions; expected integers", lambda: fitted().fit(X, Y / 2)),
    ("^y holds NaN", lambda: fitted().fit(X, Y * np.nan)),
    ("^y holds NaN", lambda: fitted(regressor()).fit(X, Y - np.inf)),
    ("^y has dtype <U", lambda: fitted().train_on_batch(X, list("abca"))),
    (r"^y has shape \(3,\); expected \(4,\)", lambda: fitted().fit(X, Y[:3])),
    (r"^y has shape \(4, 1\); expected \(4,\)", lambda: fitted().fit(X, Y[:, None])),
    (r"^y has shape \(4,\); expected \(4, 5\)",
     lambda: classifier(return_sequences=True).fit(X, Y)),
    (r"^y has shape \(3,\); expected \(4", lambda: fitted(regressor()).fit(X, Y[:3])),
    (r" has shape \(3,\); expected \(4", lambda: gradcheck(fitted(), X, y=Y[:3])),
    (r"^labels has shape \(3,\); expected \(4,\)",
     lambda: softmax_cross_entropy(N((4, 3)), Y[:3])),
    ("^labels runs from 0 to 2; expected 0 to 1",
     lambda: softmax_cross_entropy(N((4, 2)), Y)),
    (r"^targets has shape \(4, 2\); expected \(4, 3\)",
     lambda: mean_squared_error(N((4, 3)), N((4, 2)))),
    # too large for float32
    ("^x (has|holds)", lambda: LSTM(4, 3).forward(BIG)),
    (r"^initial_state\[0\] (has|holds)", lambda: RNN(4, 3).forward(X, (H + 1e300,))),
    ("^dout (has|holds)", lambda: ran().backward(DOUT + 1e300)),
    ("^y (has|holds)", lambda: fitted(regressor()).fit(X, Y + 1e300)),
    ("^y (has|holds|runs)", lambda: fitted().fit(X, Y + 1e300)),
    # training
    ("^epochs is 0; expected an integer >= 1", lambda: fitted().fit(X, Y, epochs=0)),
    ("^batch_size is 0; expected an integer >= 1",
     lambda: fitted().fit(X, Y, batch_size=0)),
    ("^batch_size is 0; expected", lambda: fitted().predict(X, batch_size=0)),
    ("^batch_size is 1.5; expected", lambda: fitted().evaluate(X, Y, batch_size=1.5)),
    *((f"^validation_split is {s}; expected",
       lambda s=s: fitted().fit(X, Y, validation_split=s)) for s in (1, -0.1, 0.9)),
    ("^validation_data.*; expected", lambda: fitted().fit(X, Y, validation_data=(X,))),
    (r"^validation_data.*shape \(4, 5, 2\); expected",
     lambda: fitted().fit(X, Y, validation_data=(N((4, 5, 2)), Y))),
]  # fmt: skip


@each(("says", "call"), REFUSED)
def test_refused(says, call):
    with pytest.raises(ValueError, match=says):
        call()


@each("model", [classifier(), classifier(LSTM(2, 3)), LSTM(2), Stack([LSTM(2)])])
def test_weights_that_are_not_there_are_not_counted(model):
    for call in (model.count_params, lambda: model.set_weights([])):
        with pytest.raises(ValueError, match="no weights yet; call build"):
            call()
    model.build(3)
    assert model.count_params() == sum(w.size for w in model.get_weights())


def test_a_fit_that_is_refused_builds_nothing():
    model = classifier()
    for x, y in ((N((4, 5, 9)), Y[:3]), (N((4, 9, 2)), Y + 1.5)):
        with pytest.raises(ValueError, match=r"^y "):
            model.fit(x, y)
        assert not model.built
    model.fit(X, Y)


@each("kind", [*LAYERS, "model"])
def test_bad_weights_change_none(kind):
    model = fitted(classifier(LSTM(2, 3))) if kind == "model" else whole(kind)
    old = model.get_weights()
    before, new = as_bytes(old), [w + 1 for w in old]
    n = len(old)
    bad = {
        f"weights has {n - 1} arrays; expected {n}": new[:-1],
        f"weights has {n + 1} arrays; expected {n}": [*new, new[-1]],
        "weights has 0 arrays; expected": [],
        rf"weights\[{n - 1}\].* has shape .*; expected": [*new[:-1], N((7, 7))],
        r"weights\[0\].* has shape \(2,\); expected": [N(2), *new[1:]],
        rf"weights\[{n - 1}\].* holds NaN": [*new[:-1], new[-1] * np.nan],
    }
    for says, weights in bad.items():
        with pytest.raises(ValueError, match=says):
            model.set_weights(weights)
        assert as_bytes(model.get_weights()) == before


def saved(path, model=None, **changes):
    """Save a model, then put other arrays (None: leave it out) into the file."""
    fitted(model).save(path)
    with np.load(path) as file:
        arrays = dict(file) | {k.replace("_", "/", 2): a for k, a in changes.items()}
    np.savez(path, **{k: a for k, a in arrays.items() if a is not None})


BAD_FILES = {
    "missing": lambda path: None,
    "empty": lambda path: path.touch(),
    "text": lambda path: path.write_text("no arrays", encoding="utf-8"),
    "cut": lambda path: [saved(path), path.write_bytes(path.read_bytes()[:-99])],
    "one array": lambda path: [
        np.save(f := path.with_suffix(".npy"), X),
        f.rename(path),
    ],
    "other arrays": lambda path: np.savez(path, x=X),
    "no rngs": lambda path: saved(path, rngs=None),
    "no optimizer": lambda path: saved(path, optimizer=None),
    "NaN": lambda path: saved(path, weights_head_bias=np.full(3, np.nan)),
    "more units": lambda path: saved(path, classifier([LSTM(3)])),
    "more outputs": lambda path: saved(path, classifier(outputs=4)),
    "another cell": lambda path: saved(path, classifier([GRU(2)])),
    "more networks": lambda path: saved(path, classifier(seed=[1, 2])),
    "another optimizer": lambda path: saved(path, classifier(optimizer="sgd")),
    "slot of another shape": lambda path: saved(path, **{"slots_head_bias/0": N(7)}),
    "not built": lambda path: classifier().save(path),
}


@each("new", [False, True])
@each("bad", BAD_FILES)
def test_load_refuses(tmp_path, bad, new):
    path = tmp_path / "model.npz"
    model = classifier() if new else fitted()

    def everything():
        optimizer = model.optimizer
        arrays = [model.weights, {k: tuple(s) for k, s in optimizer.slots.items()}]
        return as_bytes(arrays), optimizer.iterations, get_states(model.rngs)

    before = everything()
    with pytest.raises(ValueError, match=r"model\.npz|no weights yet|not built"):
        BAD_FILES[bad](path)
        model.load(path)
    assert everything() == before


def test_load_refuses_another_number_of_features(tmp_path):
    saved(tmp_path / "model.npz")
    model = classifier()
    model.forward(X[..., :2])
    before = as_bytes(model.weights)
    with pytest.raises(ValueError, match=r"model\.npz"):
        model.load(tmp_path / "model.npz")
    assert as_bytes(model.weights) == before
