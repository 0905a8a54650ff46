"""Let a trained network write: draw a symbol, read it as the next input, go on."""

import numpy as np
import numpy.typing as npt

from unrolled.checks import (
    as_floats,
    check_between,
    check_generator,
    check_integer,
    check_labels,
    read_array,
)
from unrolled.losses import log_softmax
from unrolled.model import SequenceClassifier
from unrolled.tasks.synthetic import one_hot
from unrolled.training import one_thread
from unrolled.types import Array


def sample(
    logits: npt.ArrayLike,
    rng: np.random.Generator | None,
    temperature: float = 1.0,
) -> Array:
    """Draw a class for each row of logits.

    The probabilities are softmax(logits / temperature). At 1 they are those that the
    network learned; below 1 the likely classes become likelier, and at 0 the likeliest
    one is always taken, the first among equals.

    Args:
        logits: outputs before the softmax, `(…, classes)`.
        rng: draws the classes; may be None at temperature 0.
        temperature: 0 or more.

    Returns:
        integers from 0 to classes − 1, `(…)`.

    Raises:
        ValueError: logits that are not numbers or hold NaN, a temperature below 0, or
            `rng` is not a generator.

    Example:
        >>> import numpy as np
        >>> from unrolled.generation import sample
        >>> rng = np.random.default_rng(0)
        >>> drawn = sample(np.tile(np.log([0.5, 0.3, 0.2]), (10_000, 1)), rng)
        >>> (np.bincount(drawn) / 10_000).round(2).tolist()
        [0.5, 0.3, 0.2]
    """
    logits = as_floats(read_array("logits", logits))
    if logits.ndim == 0 or logits.size == 0:
        raise ValueError(f"logits has shape {logits.shape}; expected (…, classes)")
    largest = logits.max(axis=-1, keepdims=True)
    if not np.isfinite(largest).all():
        raise ValueError(
            "logits has a row with NaN, with infinity, or without a possible class; "
            "expected numbers"
        )
    temperature = check_between("temperature", temperature, 0, np.inf)
    if temperature == 0:
        return logits.argmax(axis=-1)
    rng = check_generator("rng", rng)
    # Subtracted first: a small temperature would make large logits infinite.
    shifted = (logits - largest).astype(float)
    with np.errstate(over="ignore"):
        scaled = shifted / temperature
    cumulative = np.exp(log_softmax(scaled)).cumsum(axis=-1)
    thrown = rng.random((*logits.shape[:-1], 1)) * cumulative[..., -1:]
    return (cumulative <= thrown).sum(axis=-1)


@one_thread
def generate(
    model: SequenceClassifier,
    start: npt.ArrayLike,
    n: int,
    rng: np.random.Generator | None,
    temperature: float = 1.0,
) -> Array:
    """Let a network that predicts the next symbol go on from a beginning.

    It reads the beginning; then each symbol is drawn from its prediction and read as
    the next input, one step at a time with the state carried on.

    Args:
        model: trained with `return_sequences` to predict, at every step of one-hot
            symbols, the next one: as many classes as features.
        start: the beginning, integers `(batch, steps)`.
        n: how many symbols to write.
        rng: draws them; see `sample`.
        temperature: see `sample`.

    Returns:
        the symbols written, integers `(batch, n)`; in an ensemble each network writes,
        `(networks, batch, n)`.

    Raises:
        ValueError: a model of another kind, a beginning that is not of its symbols, or
            a number out of range.
    """
    kind = type(model).__name__
    if not isinstance(model, SequenceClassifier) or not model.return_sequences:
        raise ValueError(
            f"model is {kind}; expected a SequenceClassifier with return_sequences=True"
        )
    model.check_carries()
    classes = model.outputs
    if model.body.features != classes:
        raise ValueError(
            f"model reads {model.body.features} features and has {classes} classes; "
            "expected one feature for each class"
        )
    start = check_labels("start", start, classes)
    if start.ndim != 2:
        raise ValueError(f"start has shape {start.shape}; expected (batch, steps)")
    n = check_integer("n", n, 1)
    leading = () if model.networks is None else (model.networks,)
    written = np.empty((*leading, len(start), n), np.int64)
    logits = model.forward(one_hot(start, classes))
    for k in range(n):
        written[..., k] = sample(logits[..., -1, :], rng, temperature)
        if k + 1 < n:
            logits = model.forward(
                one_hot(written[..., k : k + 1], classes), model.state
            )
    return written
