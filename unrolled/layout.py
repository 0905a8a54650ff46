"""Where the numbers lie: time and the blocks of a kernel as axes of their own.

Keras writes the kernels of all gates side by side, `(features, blocks · units)`. Split
into `(blocks, features, units)`, without a copy, `a = x @ W` comes out as `(blocks,
batch, units)`: each gate in one piece of memory, which NumPy reads about twice as fast
as columns.

In front of these axes there may be the axis of a stack of networks, written `…` here.
"""

import numpy as np


def split_blocks(weight, blocks):
    """`(…, rows, blocks · units)` as `(blocks, …, rows, units)`: a view."""
    *front, width = weight.shape
    return np.moveaxis(weight.reshape(*front, blocks, width // blocks), -2, 0)


def join_blocks(parts):
    """The inverse of `split_blocks`, as a new array."""
    parts = np.moveaxis(parts, 0, -2)
    return parts.reshape(*parts.shape[:-2], -1)


def time_first(x, ones=False):
    """`(…, batch, time, n)` as `(time, …, batch, n)`, for `x[t]` to be one step.

    With `ones`, a last column of ones is added. The bias is the weight of an input that
    is always 1: so the products with the kernel take care of it, and of its gradient.
    """
    *front, batch, steps, n = x.shape
    new = empty_steps(steps, (*front, batch, n + ones), x.dtype)
    new[..., :n] = np.moveaxis(x, -2, 0)
    new[..., n:] = 1
    return new


def batch_first(x):
    """`(time, …, batch, n)` as `(…, batch, time, n)`: the inverse, a view."""
    return np.moveaxis(x, 0, -2)


def empty_steps(steps, shape, dtype):
    """Memory for `(steps, …, batch, n)`, laid out as by `time_first`."""
    *front, batch, n = shape
    return np.moveaxis(np.empty((*front, steps, batch, n), dtype), -3, 0)


def all_rows(x):
    """`(time, …, batch, n)` as `(…, time · batch, n)`: every step of every sequence."""
    x = np.moveaxis(x, 0, -3)
    *front, steps, batch, n = x.shape
    return x.reshape(*front, steps * batch, n)


def project(x, W):
    """x_t W for all steps in one product: `(time, …, batch, n)` @ `(…, n, m)`."""
    a = all_rows(x) @ W
    return np.moveaxis(a.reshape(*a.shape[:-2], len(x), -1, a.shape[-1]), -3, 0)


def accumulate(x, da):
    """Σ_t x_tᵀ da_t, the gradient of W in a_t = x_t W: `(…, n, m)`."""
    return all_rows(x).swapaxes(-1, -2) @ all_rows(da)


def read_only(x):
    """A view that cannot be written to: the backward pass reads what it shows."""
    x = x.view()
    x.flags.writeable = False
    return x
