"""Large numbers in losses and clipping; a learning rate for each network."""

import numpy as np
import pytest

import unrolled
from unrolled.losses import softmax_cross_entropy


def test_large_logits_do_not_overflow():
    loss, dlogits = softmax_cross_entropy(np.array([[1e4, -1e4], [1e4, 0]]), [1, 0])
    assert loss == 1e4 and np.array_equal(dlogits, [[0.5, -0.5], [0, 0]])


def test_clip_by_global_norm():
    gradients = {"w": np.array([[3.0, 0], [0.3, 0]]), "b": np.array([[4.0], [0.4]])}
    clipped, norm = unrolled.clip_by_global_norm(gradients, 1.0, ensemble=True)
    assert np.allclose(norm, [5, 0.5], rtol=1e-15)
    assert np.allclose(clipped["w"], [[0.6, 0], [0.3, 0]], rtol=1e-15)
    assert np.allclose(clipped["b"], [[0.8], [0.4]], rtol=1e-15)
    clipped, norm = unrolled.clip_by_global_norm(gradients, 1.0)
    assert norm == pytest.approx(np.sqrt(25.25))
    assert np.sqrt(sum((g**2).sum() for g in clipped.values())) == pytest.approx(1)


RATES = np.array([0.001, 0.03])


@pytest.mark.parametrize("rates", [[[0.1]], [np.nan], [0.1, -0.1], [], "fast"])
def test_rates_that_are_no_row_of_numbers_are_refused(rates):
    with pytest.raises(ValueError, match="rate"):
        unrolled.Adam(rates)


@pytest.mark.parametrize("optimizer", [unrolled.Adam, unrolled.SGD])
@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.3, "global_clipnorm": 0.1}])
def test_a_network_with_a_rate_of_its_own_learns_what_it_learns_alone(
    optimizer, options
):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(24, 5, 3)), rng.integers(2, size=24)
    layer = unrolled.RNN
    many = unrolled.SequenceClassifier(
        layer(4), 2, seed=[1, 2], optimizer=optimizer(RATES, **options)
    )
    alone = unrolled.SequenceClassifier(
        layer(4), 2, seed=2, optimizer=optimizer(RATES[1], **options)
    )
    for model in (many, alone):
        model.fit(x, y, batch_size=8, epochs=3, verbose=0)
    for name, w in alone.weights.items():
        assert many.weights[name].dtype == w.dtype == np.float32
        assert np.allclose(many.weights[name][1], w, atol=1e-6), name


@pytest.mark.parametrize(("networks", "ensemble"), [(3, True), (2, False)])
def test_rates_of_other_networks_are_refused(networks, ensemble):
    adam, w = unrolled.Adam(RATES), {"w": np.ones((networks, 4))}
    with pytest.raises(ValueError, match="one for each network of an ensemble"):
        adam.apply(w, {"w": np.ones((networks, 4))}, ensemble=ensemble)
    assert np.array_equal(w["w"], np.ones((networks, 4))) and adam.iterations == 0


def test_the_optimiser_keeps_rates_of_its_own():
    rates = RATES.copy()
    adam = unrolled.Adam(rates)
    rates[:] = 5
    assert np.array_equal(adam.learning_rate, RATES)


def test_rates_are_saved_with_the_model(tmp_path):
    x, y = np.ones((4, 5, 3)), np.array([0, 1, 1, 0])

    def model(rates):
        adam = unrolled.Adam(rates)
        return unrolled.SequenceClassifier(
            unrolled.RNN(2), 2, seed=[0, 1], optimizer=adam
        )

    saved, loaded = model(RATES), model([1.0, 2.0])
    saved.fit(x, y, verbose=0)
    saved.save(tmp_path / "model.npz")
    loaded.load(tmp_path / "model.npz")
    assert np.array_equal(loaded.optimizer.learning_rate, RATES)
    for one in (saved, loaded):
        one.fit(x, y, epochs=2, verbose=0)
    for a, b in zip(saved.get_weights(), loaded.get_weights(), strict=True):
        assert np.array_equal(a, b)
