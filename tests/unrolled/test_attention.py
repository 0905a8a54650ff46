"""Attention against its equations, central differences and Keras."""

import numpy as np
import pytest
from hypothesis import given

from tests.unrolled.test_layers import as_bytes, assert_close, each, few, seeds, sizes
from unrolled import (
    GRU,
    LSTM,
    Adam,
    Attention,
    Bidirectional,
    Dense,
    PositionalEncoding,
    SequenceClassifier,
    SequenceRegressor,
    Stack,
    gradcheck,
    jacobians,
)
from unrolled.tasks import marker_at_start

each_heads = each("heads", [1, 2, 6])


def problem(size=(2, 5, 3, 1), seed=0, heads=2, dtype="float64", each_head=None):
    """A layer whose weights are all random, and an input; 6 · n units by default."""
    batch, steps, features, n = size
    rng = np.random.default_rng(seed)
    units = heads * each_head if each_head else 6 * n
    layer = Attention(units, features, heads=heads, dtype=dtype)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    return layer, rng.normal(size=(batch, steps, features)).astype(dtype)


def slow(x, W, b, heads):
    """Outputs (T, H) and weights (heads, T, T) of one sequence, step by step."""
    T, D = len(x), len(b) // 3 // heads
    out, alpha = np.zeros((T, heads * D)), np.zeros((heads, T, T))
    for head, t in np.ndindex(heads, T):

        def of(block, step, head=head):
            start = (block * heads + head) * D
            at = slice(start, start + D)
            return x[step] @ W[:, at] + b[at]

        scores = [of(0, t) @ of(1, s) / D**0.5 for s in range(t + 1)]
        alpha[head, t, : t + 1] = np.exp(scores) / np.exp(scores).sum()
        mean = sum(alpha[head, t, s] * of(2, s) for s in range(t + 1))
        out[t, head * D : (head + 1) * D] = mean
    return out, alpha


@each_heads
def test_layer_is_its_equations(heads):
    @few
    @given(sizes, seeds)
    def check(size, seed):
        layer, x = problem(size, seed, heads)
        out, state = layer.forward(x)
        expected = [slow(sequence, *layer.get_weights(), heads) for sequence in x]
        alpha = layer.activations()["alpha"]
        assert state == ()
        assert_close(out, [o for o, _ in expected], 1e-12)
        assert_close(alpha, [a for _, a in expected], 1e-12)
        last, _ = layer.forward(x, return_sequences=False)
        assert_close([last], [out[:, -1]], 1e-12)
        assert_close([layer.activations()["alpha"]], [alpha[:, :, -1:]], 1e-12)

    check()


CHECKED = [
    *((Attention(6, heads=n, seed=s), {"return_sequences": r})
      for n in (1, 3) for s in (0, [1, 2]) for r in (True, False)),
    (Stack([Dense(4), PositionalEncoding(), Attention(4)], seed=[1, 2]), {}),
    (Stack([Attention(2), Attention(2)]), {"return_sequences": False}),
    (Stack([LSTM(2), Attention(4, heads=2), GRU(2)]), {"return_sequences": False}),
    (Bidirectional(Attention(2)), {}),
    (PositionalEncoding(), {}),
    (SequenceClassifier(Attention(2), 3, seed=[1, 2]), {"y": np.array([0, 2])}),
    (SequenceRegressor([Attention(2), Attention(2)], 2), {"y": np.eye(2)}),
]  # fmt: skip


@each(("layer", "options"), CHECKED)
@each("steps", [4, 1])
def test_gradients_are_central_differences(layer, options, steps):
    x = np.random.default_rng(steps).normal(size=(2, steps, 3))
    report = gradcheck(layer, x, **options)
    assert report.passed and report.worst < 1e-7, report


@each("own", [False, True])
def test_ensemble_is_its_networks_one_by_one(own):
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 3)[not own :])

    def run(seed, x):
        layer = Attention(6, heads=2, seed=seed)
        out, _ = layer.forward(x)
        dx, _, gradients = layer.backward(np.sin(out))
        return [out, dx, *gradients.values()]

    both = run([3, 5], x)
    for k, seed in enumerate([3, 5]):
        alone = run(seed, x[k] if own else x)
        assert as_bytes([a[k] for a in both]) == as_bytes(alone)


@each_heads
def test_no_step_sees_a_later_one(heads):
    layer, x = problem((2, 6, 3, 2), heads=heads)
    out, changed = layer.forward(x)[0], x.copy()
    changed[:, 4:] += 1
    after, _ = layer.forward(changed)
    assert (
        np.array_equal(after[:, :4], out[:, :4]) and (after[:, 4:] != out[:, 4:]).all()
    )
    dout = np.zeros_like(out)
    dout[:, 3] = 1
    dx, _, _ = layer.backward(dout)
    assert (dx[:, :4] != 0).all() and not dx[:, 4:].any()


def test_order_counts_only_with_positions():
    layer, x = problem((3, 6, 4, 1))
    turned = np.concatenate([x[:, 4::-1], x[:, 5:]], axis=1)

    def last(layer, x):
        return layer.forward(x, return_sequences=False)[0]

    assert_close([last(layer, x)], [last(layer, turned)], 1e-12)
    with_order = Stack([PositionalEncoding(dtype="float64"), layer])
    assert np.abs(last(with_order, x) - last(with_order, turned)).min() > 1e-3


@each("n", [1, 5, 8])
def test_positions_are_sines_and_cosines(n):
    x = np.random.default_rng(0).normal(size=(2, 30, n))
    out, _ = PositionalEncoding(100, dtype="float64").forward(x)
    for t, j in np.ndindex(30, n):
        turn = (np.sin, np.cos)[j % 2](t / 100 ** (j // 2 * 2 / n))
        assert_close(out[:, t, j], x[:, t, j] + turn, 1e-12)


def test_results_and_inputs_stay_as_they_are():
    layer, x = problem()
    given = x.copy()
    out, _ = layer.forward(x)
    results = [out, layer.activations()["alpha"]]
    before = as_bytes(results)
    back = as_bytes(layer.backward(np.cos(out)))
    assert as_bytes([x]) == as_bytes([given])
    x += 1
    layer.set_weights([w + 1 for w in layer.get_weights()])
    assert as_bytes(layer.backward(np.cos(out))) == back  # of what forward saw
    assert as_bytes(layer.backward(np.cos(out), truncate=2)) == back
    layer.forward(x)
    assert as_bytes(results) == before
    assert not any(a.flags.writeable for a in results)


def test_large_scores_do_not_overflow():
    layer, x = problem(dtype="float32")
    layer.set_weights([100 * w for w in layer.get_weights()])
    out, _ = layer.forward(x)
    assert np.isfinite(out).all() and layer.activations()["alpha"].max() == 1


@each(("says", "do"), [
    ("^units is 0; expected an integer >= 1", lambda: Attention(0)),
    ("^heads is 3; expected a divisor of units, which is 4",
     lambda: Attention(4, heads=3)),
    ("^heads is 0; expected an integer >= 1", lambda: Attention(4, heads=0)),
    ("^kernel_initializer is 'x'; expected",
     lambda: Attention(4, kernel_initializer="x")),
    ("^longest is 0; expected a number above 0", lambda: PositionalEncoding(0)),
    ("^initial_state is tuple of length 1; expected a tuple of 0",
     lambda: Attention(4).forward(np.ones((2, 3, 4)), (np.ones((2, 4)),))),
    ("^the layer has not run yet", lambda: Attention(4, 2).activations()),
    ("^dout has shape .*; expected", lambda: after_forward().backward(np.ones(3))),
    ("^dstate is tuple of length 1; expected a tuple of 0",
     lambda: after_forward().backward(None, (np.ones((2, 4)),))),
    ("expected an RNN, LSTM, GRU or PeepholeLSTM",
     lambda: jacobians(Attention(4), np.ones((2, 3, 4)))),
])  # fmt: skip
def test_bad_input_is_refused(says, do):
    with pytest.raises(ValueError, match=says):
        do()


def after_forward():
    layer = Attention(4)
    layer.forward(np.ones((2, 3, 4)))
    return layer


def test_attention_finds_a_marker_far_back():
    """From chance to certainty within a hundred steps of training, at a lag of 49."""
    task = marker_at_start(3200, 50, np.random.default_rng(0))
    layers = [Dense(16), PositionalEncoding(), Attention(16, heads=2)]
    model = SequenceClassifier(layers, 2, seed=[0, 1], optimizer=Adam(0.01))
    model.build(task.x.shape[-1])
    assert (np.abs(model.evaluate(task.x, task.y)[1] - 0.5) < 0.1).all()
    model.fit(task.x, task.y, verbose=0)
    new = marker_at_start(500, 50, np.random.default_rng(1))
    assert (model.evaluate(new.x, new.y)[1] > 0.99).all()


@pytest.mark.usefixtures("keras")
@each(("heads", "D"), [(1, 4), (2, 4), (3, 1)])  # Keras rounds 1/√D to float32
@each(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
def test_layer_is_that_of_keras(heads, D, dtype, tolerance):
    """Outputs, weights of the mean, and gradients, where the projection is 1."""
    import keras
    import tensorflow as tf

    layer, x = problem((3, 7, 4, 1), 1, heads, dtype, D)
    H = heads * D
    theirs = keras.layers.MultiHeadAttention(heads, D, output_shape=H, dtype=dtype)
    theirs.build(x.shape, x.shape)
    kernel, bias = layer.get_weights()
    blocks = zip(np.split(kernel, 3, axis=1), np.split(bias, 3), strict=True)
    weights = [
        part
        for W, b in blocks
        for part in (W.reshape(4, heads, D), b.reshape(heads, D))
    ]
    theirs.set_weights([*weights, np.eye(H).reshape(heads, D, H), np.zeros(H)])

    out, _ = layer.forward(x)
    dout = np.cos(out)
    with tf.GradientTape() as tape:
        given = tf.constant(x)
        tape.watch(given)
        expected, alpha = theirs(
            given, given, use_causal_mask=True, return_attention_scores=True
        )
        loss = tf.reduce_sum(expected * dout)
    variables = theirs.trainable_variables[:6]
    dx, *slopes = tape.gradient(loss, [given, *variables])
    assert_close([out], [expected.numpy()], tolerance)
    assert_close([layer.activations()["alpha"]], [alpha.numpy()], tolerance)
    ours = layer.backward(dout)
    assert_close([ours[0]], [dx.numpy()], tolerance)
    of_kernel = [d.numpy().reshape(4, H) for d in slopes[0::2]]
    of_bias = [d.numpy().reshape(H) for d in slopes[1::2]]
    expected = [np.concatenate(d, axis=-1) for d in (of_kernel, of_bias)]
    assert_close(ours[2].values(), expected, tolerance)


@pytest.mark.usefixtures("keras")
def test_one_head_is_dot_product_attention_of_keras():
    import keras

    layer, x = problem((3, 7, 4, 1), 2, heads=1)
    q, k, v = np.split(x @ layer.weights["kernel"] + layer.weights["bias"], 3, axis=-1)
    dot = keras.layers.Attention(dtype="float64")
    expected = dot([q / np.sqrt(6), v, k], use_causal_mask=True)
    assert_close([layer.forward(x)[0]], [expected.numpy()], 1e-12)
