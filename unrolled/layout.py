"""The layout of arrays in memory: time and the blocks of a kernel get their own axes.

Keras writes the kernels of all gates side by side, `(features, blocks · units)`. Split
into `(blocks, features, units)`, without a copy, `a = x @ W` comes out as `(blocks,
batch, units)`: each gate in one piece of memory, which NumPy reads about twice as fast
as columns.

In front of these axes there may be the axis of an ensemble, written `…` here.
"""

import numpy as np
import numpy.typing as npt

from unrolled.types import Array


def split_blocks(weight: Array, blocks: int) -> Array:
    """View `(…, rows, blocks · units)` as `(blocks, …, rows, units)`."""
    *front, width = weight.shape
    return np.moveaxis(weight.reshape(*front, blocks, width // blocks), -2, 0)


def join_blocks(parts: Array) -> Array:
    """Undo `split_blocks`, in a new array."""
    parts = np.moveaxis(parts, 0, -2)
    return parts.reshape(*parts.shape[:-2], -1)


def time_first(x: Array, ones: bool = False) -> Array:
    """Copy `(…, batch, time, n)` to `(time, …, batch, n)`, so that `x[t]` is one step.

    With `ones`, a last column of ones is added. The bias is the weight of an input that
    is always 1, so the products with the kernel take care of it and of its gradient.
    """
    *front, batch, steps, n = x.shape
    new = empty_steps(steps, (*front, batch, n + ones), x.dtype)
    new[..., :n] = np.moveaxis(x, -2, 0)
    new[..., n:] = 1
    return new


def batch_first(x: Array) -> Array:
    """View `(time, …, batch, n)` as `(…, batch, time, n)`."""
    return np.moveaxis(x, 0, -2)


def empty_steps(steps: int, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
    """Make an array `(steps, …, batch, n)`, laid out as by `time_first`."""
    *front, batch, n = shape
    return np.moveaxis(np.empty((*front, steps, batch, n), dtype), -3, 0)


def all_rows(x: Array) -> Array:
    """Reshape `(time, …, batch, n)` to `(…, time · batch, n)`: one row per step."""
    x = np.moveaxis(x, 0, -3)
    *front, steps, batch, n = x.shape
    return x.reshape(*front, steps * batch, n)


def project(x: Array, W: Array) -> Array:
    """Compute x_t W for all steps in one product.

    Args:
        x: `(time, …, batch, n)`.
        W: `(…, n, m)`.

    Returns:
        `(time, …, batch, m)`.
    """
    a = all_rows(x) @ W
    return np.moveaxis(a.reshape(*a.shape[:-2], len(x), -1, a.shape[-1]), -3, 0)


def accumulate(x: Array, da: Array) -> Array:
    """Compute Σ_t x_tᵀ da_t, the gradient of W in a_t = x_t W.

    Args:
        x: `(time, …, batch, n)`.
        da: `(time, …, batch, m)`.

    Returns:
        `(…, n, m)`.
    """
    return all_rows(x).swapaxes(-1, -2) @ all_rows(da)


def read_only(x: Array) -> Array:
    """View `x` without leave to write: the backward pass will read what it shows."""
    x = x.view()
    x.flags.writeable = False
    return x
