"""Losses and clipping of gradients where numbers are large."""

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
