"""What is made small: cross-entropy for classes, squared error for numbers."""

import numpy as np

from unrolled.checks import check_array


def log_softmax(logits):
    """log(exp(a) / Σ exp(a)) over the last axis, without overflow."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def softmax_cross_entropy(logits, labels, *, stacked=False):
    """Mean of −log softmax(logits)[label], and its gradient.

    Args:
        logits: `(…, classes)`.
        labels: whole numbers 0 … classes − 1, `(…)`; for a stack, one set for all
            networks will do.
        stacked: whether the first axis holds networks, each with a loss of its own.

    Returns:
        `(loss, dlogits)`: natural logarithms; a float, or `(networks,)` if stacked.

    Raises:
        ValueError: labels that are not whole numbers, out of range, or of another
        shape.
    """
    classes = logits.shape[-1]
    labels = check_labels("labels", labels, classes)
    labels = _one_for_each("labels", labels, logits.shape[:-1], stacked)
    log_p = log_softmax(logits)
    label = labels[..., None]
    loss, n = _mean(-np.take_along_axis(log_p, label, -1), stacked)
    dlogits = np.exp(log_p)
    at_label = np.take_along_axis(dlogits, label, -1)
    np.put_along_axis(dlogits, label, at_label - 1, -1)
    return loss, dlogits / dlogits.dtype.type(n)


def mean_squared_error(predictions, targets, *, stacked=False):
    """Mean of (prediction − target)², over every entry, and its gradient.

    Args:
        predictions: `(…, outputs)`.
        targets: the same shape; for a stack, one set for all networks will do.
        stacked: whether the first axis holds networks, each with a loss of its own.

    Returns:
        `(loss, dpredictions)`: a float, or `(networks,)` if stacked.

    Raises:
        ValueError: another shape, NaN, or not numbers.
    """
    targets = check_array("targets", targets, (...,), predictions.dtype)
    targets = _one_for_each("targets", targets, predictions.shape, stacked)
    error = predictions - targets
    loss, n = _mean(error**2, stacked)
    return loss, error * error.dtype.type(2 / n)


def check_labels(name, labels, classes):
    """`labels` as an integer array within 0 … classes − 1, or a `ValueError`."""
    labels = check_array(name, labels, (...,), None)
    if labels.dtype.kind not in "iu" and (labels % 1).any():
        raise ValueError(f"{name} holds fractions; expected whole numbers")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"{name} runs from {labels.min()} to {labels.max()}; expected 0 to "
            f"{classes - 1}, for {classes} classes"
        )
    return labels.astype(np.int64, copy=False)


def _one_for_each(name, values, shape, stacked):
    """`values` in `shape`; where a stack shares them, repeated along its axis."""
    if values.shape == shape:
        return values
    if stacked and values.shape == shape[1:]:
        return np.broadcast_to(values, shape)
    raise ValueError(f"{name} has shape {values.shape}; expected {shape}")


def _mean(values, stacked):
    """Mean over all axes, or all but the first, and of how many values."""
    # One row a network: the sum then runs in the same order as for a single one.
    rows = values.reshape(*values.shape[: bool(stacked)], -1)
    return rows.mean(axis=-1), rows.shape[-1]
