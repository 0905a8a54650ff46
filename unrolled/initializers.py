"""How weights begin: the initialisers of Keras, by their Keras names.

Each takes `(shape, rng)` and returns float64; the layer converts. A layer also takes
any callable of this form, such as `lambda shape, rng: rng.normal(0, 0.01, shape)`.
"""

import numpy as np


def glorot_uniform(shape, rng):
    """Uniform within ±√(6 / (fan in + fan out)).

    Source: Glorot & Bengio, "Understanding the difficulty of training deep feedforward
    neural networks", AISTATS 2010.
    """
    limit = np.sqrt(6 / sum(shape))
    return rng.uniform(-limit, limit, shape)


def orthogonal(shape, rng):
    """Rows (or columns, if there are fewer) that are orthonormal.

    Of an LSTM's recurrent kernel, `(units, 4 units)`, Keras makes the whole orthogonal,
    not each gate's square block: see `orthogonal_blocks`.

    Source: Saxe, McClelland & Ganguli, "Exact solutions to the nonlinear dynamics of
    learning in deep linear neural networks", ICLR 2014, arXiv:1312.6120.
    """
    rows, columns = shape
    q, r = np.linalg.qr(rng.normal(size=(max(shape), min(shape))))
    q *= np.sign(np.diag(r))  # without the signs, q would not be uniform
    return q if rows >= columns else q.T


def orthogonal_blocks(shape, rng):
    """Each square block of a recurrent kernel orthogonal by itself: one a gate."""
    rows, columns = shape
    return np.hstack([orthogonal((rows, rows), rng) for _ in range(columns // rows)])


def identity(shape, rng):
    """The identity in each square block.

    Source: Le, Jaitly & Hinton, "A simple way to initialize recurrent networks of
    rectified linear units", 2015, arXiv:1504.00941.
    """
    rows, columns = shape
    return np.tile(np.eye(rows), columns // rows)


def zeros(shape, rng):
    """Zero everywhere."""
    return np.zeros(shape)


INITIALIZERS = {
    function.__name__: function
    for function in (glorot_uniform, orthogonal, orthogonal_blocks, identity, zeros)
}


def initializer(name, value):
    """The function that `value` names, or `value` itself if it can be called.

    Raises:
        ValueError: an unknown name; `name` is the argument that the message speaks of.
    """
    if callable(value):
        return value
    if not isinstance(value, str) or value not in INITIALIZERS:
        raise ValueError(
            f"{name} is {value!r}; expected a callable (shape, rng) or one of "
            + ", ".join(INITIALIZERS)
        )
    return INITIALIZERS[value]
