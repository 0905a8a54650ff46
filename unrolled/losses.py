"""What training minimises: cross-entropy for classes, squared error for numbers."""

import numpy as np
import numpy.typing as npt

from unrolled.checks import check_array
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
    classes = logits.shape[-1]
    labels = check_labels("labels", labels, classes)
    labels = _for_each_network("labels", labels, logits.shape[:-1], ensemble)
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
    targets = check_array("targets", targets, (...,), predictions.dtype)
    targets = _for_each_network("targets", targets, predictions.shape, ensemble)
    error = predictions - targets
    loss, n = _mean(error**2, ensemble)
    return loss, error * error.dtype.type(2 / n)


def check_labels(name: str, labels: npt.ArrayLike, classes: int) -> Array:
    """Return `labels` as an array of integers.

    Raises:
        ValueError: not integers, or not all within 0 … classes − 1.
    """
    labels = check_array(name, labels, (...,), None)
    if labels.dtype.kind not in "iu" and (labels % 1).any():
        raise ValueError(f"{name} holds fractions; expected integers")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"{name} runs from {labels.min()} to {labels.max()}; expected 0 to "
            f"{classes - 1}, for {classes} classes"
        )
    return labels.astype(np.int64, copy=False)


def _for_each_network(
    name: str, values: Array, shape: tuple[int, ...], ensemble: bool
) -> Array:
    """Return `values` in `shape`; if the networks share them, repeated for each."""
    if values.shape == shape:
        return values
    if ensemble and values.shape == shape[1:]:
        return np.broadcast_to(values, shape)
    raise ValueError(f"{name} has shape {values.shape}; expected {shape}")


def _mean(values: Array, ensemble: bool) -> tuple[PerNetwork, int]:
    """Return the mean, of each network in an ensemble, and of how many values it is."""
    # One row per network: then its sum runs in the same order as for it alone.
    rows = values.reshape(len(values), -1) if ensemble else values.reshape(-1)
    return rows.mean(axis=-1), rows.shape[-1]
