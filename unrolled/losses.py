"""What training minimises: cross-entropy, squared error, the loss of quantiles."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from unrolled.checks import (
    as_floats,
    check_array,
    check_labels,
    count_axes,
    read_array,
)
from unrolled.types import Array, PerNetwork


def log_softmax(logits: Array) -> Array:
    """Compute log(exp(a) / Σ exp(a)) over the last axis, without overflow.

    Args:
        logits: `(…, classes)`.

    Returns:
        natural logarithms of probabilities, in the same shape.
    """
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def softmax_cross_entropy(
    logits: Array, labels: npt.ArrayLike, *, ensemble: bool = False
) -> tuple[PerNetwork, Array]:
    """Compute the mean of −log softmax(logits)[label], and its gradient.

    Args:
        logits: `(…, classes)`.
        labels: integers from 0 to classes − 1, `(…)`; an ensemble may share one set.
        ensemble: whether the first axis holds networks, each with its own loss.

    Returns:
        `(loss, dlogits)`: the loss in nats, a float, or `(networks,)` for an ensemble.

    Raises:
        ValueError: labels that are not integers, out of range, or of another shape.

    Example:
        >>> import numpy as np
        >>> from unrolled.losses import softmax_cross_entropy
        >>> loss, dlogits = softmax_cross_entropy(np.zeros((1, 4)), [2])
        >>> print(f"{loss:.3f} = ln 4")
        1.386 = ln 4
        >>> dlogits.tolist()
        [[0.25, 0.25, -0.75, 0.25]]
    """
    logits = _read_outputs("logits", logits, ensemble)
    *shape, classes = logits.shape
    wanted = _own_or_shared(labels, shape, ensemble)
    labels = check_labels("labels", labels, classes, wanted)
    if labels.ndim < len(shape):
        labels = np.broadcast_to(labels, shape)
    log_p = log_softmax(logits)
    label = labels[..., None]
    loss, n = _mean(-np.take_along_axis(log_p, label, -1), ensemble)
    dlogits = np.exp(log_p)
    at_label = np.take_along_axis(dlogits, label, -1)
    np.put_along_axis(dlogits, label, at_label - 1, -1)
    return loss, dlogits / dlogits.dtype.type(n)


def mean_squared_error(
    predictions: Array, targets: npt.ArrayLike, *, ensemble: bool = False
) -> tuple[PerNetwork, Array]:
    """Compute the mean of (prediction − target)² over all entries, and its gradient.

    Args:
        predictions: `(…, outputs)`.
        targets: the same shape; an ensemble may share one set.
        ensemble: whether the first axis holds networks, each with its own loss.

    Returns:
        `(loss, dpredictions)`: the loss is a float, or `(networks,)` for an ensemble.

    Raises:
        ValueError: another shape, NaN, or not numbers.
    """
    predictions = _read_outputs("predictions", predictions, ensemble)
    wanted = _own_or_shared(targets, predictions.shape, ensemble)
    targets = check_array("targets", targets, wanted, predictions.dtype)
    error = predictions - targets
    loss, n = _mean(error**2, ensemble)
    return loss, error * error.dtype.type(2 / n)


def quantile_loss(
    predictions: Array,
    targets: npt.ArrayLike,
    quantiles: Sequence[float],
    *,
    ensemble: bool = False,
) -> tuple[PerNetwork, Array]:
    """Compute the mean quantile (pinball) loss, and its gradient.

    For a quantile q and the error e = target − prediction it is q e if e is positive,
    and (q − 1) e otherwise. Its mean is smallest where a share q of the targets lies
    below the prediction; for q = 1/2 it is half of the absolute error. At e = 0, where
    it has a kink, the gradient is that from above the target.

    Args:
        predictions: `(…, outputs, quantiles)`.
        targets: `(…, outputs)`; an ensemble may share one set.
        quantiles: rising, each between 0 and 1.
        ensemble: whether the first axis holds networks, each with its own loss.

    Returns:
        `(loss, dpredictions)`: the mean over all entries and quantiles, a float, or
        `(networks,)` for an ensemble.

    Raises:
        ValueError: another shape, NaN, not numbers, or quantiles out of range.

    Example:
        >>> from unrolled.losses import quantile_loss
        >>> loss, gradient = quantile_loss([[[1.0, 3.0]]], [[2.0]], [0.1, 0.9])
        >>> print(f"{loss:.2f}", gradient.round(2).tolist())
        0.10 [[[-0.05, 0.05]]]

    References:
        Koenker & Bassett, "Regression quantiles", Econometrica 46 (1978).
    """
    q = check_quantiles(quantiles)
    predictions = _read_outputs("predictions", predictions, ensemble)
    if predictions.shape[-1] != len(q) or predictions.ndim < 2 + ensemble:
        raise ValueError(
            f"predictions has shape {predictions.shape}; expected (…, outputs, "
            f"{len(q)}), one for each of the quantiles"
        )
    wanted = _own_or_shared(targets, predictions.shape[:-1], ensemble)
    targets = check_array("targets", targets, wanted, predictions.dtype)
    # Whole arrays: where a short last axis is broadcast, NumPy takes twice the time.
    repeated = np.repeat(targets, len(q), axis=-1).reshape(*targets.shape, len(q))
    copies = predictions.size // len(q)
    q = np.tile(q.astype(predictions.dtype), copies).reshape(predictions.shape)
    error = repeated - predictions
    slope = np.where(error > 0, -q, 1 - q)
    loss, n = _mean(-slope * error, ensemble)
    return loss, slope / predictions.dtype.type(n)


def check_quantiles(quantiles: Sequence[float]) -> Array:
    """Return quantiles as float64, or refuse them.

    Raises:
        ValueError: not numbers between 0 and 1 in a row, or not rising.
    """
    q = check_array("quantiles", quantiles, ("quantiles",), float)
    if q.min() <= 0 or q.max() >= 1 or (np.diff(q) <= 0).any():
        raise ValueError(
            f"quantiles is {q.tolist()}; expected rising numbers between 0 and 1"
        )
    return q


def _read_outputs(name: str, outputs: npt.ArrayLike, ensemble: bool) -> Array:
    """Return what a network gave as floats; NaN may be among them."""
    array = as_floats(read_array(name, outputs))
    if array.size == 0 or array.ndim < 1 + ensemble:
        axes = "(networks, …, outputs)" if ensemble else "(…, outputs)"
        raise ValueError(f"{name} has shape {array.shape}; expected {axes}")
    return array


def _own_or_shared(
    values: npt.ArrayLike, shape: Sequence[int], ensemble: bool
) -> tuple[int, ...]:
    """Return the shape for `values`: the networks of an ensemble may share them."""
    shared = ensemble and count_axes(values) == len(shape) - 1
    return tuple(shape[1:] if shared else shape)


def _mean(values: Array, ensemble: bool) -> tuple[PerNetwork, int]:
    """Return the mean, of each network in an ensemble, and of how many values it is."""
    # One row per network: then its sum runs in the same order as for it alone.
    rows = values.reshape(len(values), -1) if ensemble else values.reshape(-1)
    mean = rows.mean(axis=-1)
    return (mean if ensemble else float(mean)), rows.shape[-1]
