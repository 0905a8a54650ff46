"""How weights start: Keras's initialisers, by their names in Keras.

Each takes `(shape, rng)` and returns float64, which the layer converts to its dtype.
Any function of this form will do as well::

    lambda shape, rng: rng.normal(0, 0.01, shape)
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from unrolled.types import Array


def glorot_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw uniformly within ±√(6 / (fan in + fan out)).

    References:
        Glorot & Bengio, "Understanding the difficulty of training deep feedforward
        neural networks", AISTATS 2010.
    """
    limit = np.sqrt(6 / sum(shape))
    return rng.uniform(-limit, limit, shape)


def orthogonal(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw a matrix with orthonormal rows (or columns, if there are fewer of them).

    Of an LSTM's recurrent kernel, `(units, 4 units)`, Keras makes the whole orthogonal,
    not the square block of each gate: see `orthogonal_blocks`.

    References:
        Saxe, McClelland & Ganguli, "Exact solutions to the nonlinear dynamics of
        learning in deep linear neural networks", ICLR 2014, arXiv:1312.6120.
    """
    rows, columns = shape
    q, r = np.linalg.qr(rng.normal(size=(max(shape), min(shape))))
    q *= np.sign(np.diag(r))  # without the signs, q would not be uniform
    return q if rows >= columns else q.T


def orthogonal_blocks(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw a recurrent kernel whose square blocks, one per gate, are orthogonal."""
    rows, columns = shape
    return np.hstack([orthogonal((rows, rows), rng) for _ in range(columns // rows)])


def identity(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Return the identity matrix in each square block.

    References:
        Le, Jaitly & Hinton, "A simple way to initialize recurrent networks of
        rectified linear units", 2015, arXiv:1504.00941.
    """
    rows, columns = shape
    return np.tile(np.eye(rows), columns // rows)


def zeros(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Return zero everywhere."""
    return np.zeros(shape)


INITIALIZERS: dict[str, Callable[..., Array]] = {
    function.__name__: function
    for function in (glorot_uniform, orthogonal, orthogonal_blocks, identity, zeros)
}


def find_initializer(name: str, value: Any) -> Callable[..., Any]:
    """Return the function that `value` names, or `value` itself if it is a function.

    Args:
        name: of the argument, for the message.
        value: an initialiser's name, or a function of `(shape, rng)`.

    Raises:
        ValueError: an unknown name.
    """
    if callable(value):
        return value
    if not isinstance(value, str) or value not in INITIALIZERS:
        raise ValueError(
            f"{name} is {value!r}; expected a callable (shape, rng) or one of "
            + ", ".join(INITIALIZERS)
        )
    return INITIALIZERS[value]
