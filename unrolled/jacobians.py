"""How much the last state depends on earlier states (Jacobians) and inputs (reach)."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from unrolled.checks import (
    as_floats,
    check_array,
    check_generator,
    check_positive,
    read_array,
)
from unrolled.lstm import LSTM
from unrolled.recurrence import Recurrent
from unrolled.types import Array, States


class Jacobians(NamedTuple):
    """Derivatives of the last state with respect to the state after t steps.

    The first axis is t = 0 … T; entry T is the identity.

    Attributes:
        h: ∂h_T/∂h_t, `(T + 1, batch, units, units)`: row k is the derivative of unit k
            of h_T. In an LSTM, c_t is held constant.
        c: dc_T/dc_t, the total derivative, in the same shape: along the cell state, and
            by way of h_t = o_t ⊙ tanh(c_t) into the gates of the steps after t. For
            t = 0, h_0 is held constant: it is given, not computed from c_0. None if the
            layer has no cell state.
        c_direct: the diagonal of the direct path alone, ∏ f_s for s = t + 1 … T,
            `(T + 1, batch, units)`. None if the layer has no cell state.
    """

    h: Array
    c: Array | None = None
    c_direct: Array | None = None


def jacobians(
    layer: Recurrent, x: npt.ArrayLike, initial_state: States | None = None
) -> Jacobians:
    """Run a layer and compute how its last state depends on the earlier ones.

    The result is exact: one backward pass for each unit, in which ∂L/∂h_T (or ∂L/∂c_T)
    is a unit vector.

    Args:
        layer: an `RNN`, `LSTM`, `GRU` or `PeepholeLSTM`, not an ensemble.
        x: `(batch, time, features)`.
        initial_state: as `forward` takes it.

    Returns:
        `Jacobians`, in the layer's dtype.

    Raises:
        ValueError: another kind of layer, an ensemble, or as `forward`.

    Example:
        >>> import numpy as np
        >>> from unrolled import LSTM, jacobians
        >>> J = jacobians(LSTM(3), np.zeros((2, 6, 4)))
        >>> J.h.shape, J.c_direct.shape
        ((7, 2, 3, 3), (7, 2, 3))
    """
    networks = getattr(layer, "networks", None)
    if not isinstance(layer, Recurrent) or networks is not None:
        raise ValueError(
            f"layer is {type(layer).__name__}, networks: {networks}; "
            "expected an RNN, LSTM, GRU or PeepholeLSTM, a single network"
        )
    layer.forward(x, initial_state)
    h = np.stack([d[0] for d in _by_unit(layer, 0)], axis=-2)
    if not isinstance(layer, LSTM):
        return Jacobians(h)
    _, a, (_, c) = layer._last_run()
    by_h, by_c = (np.stack(d, axis=-2) for d in zip(*_by_unit(layer, 1), strict=True))
    by_c[1:] += by_h[1:] * layer._h_by_c(a, c[1:])[:, :, None, :]
    f = a[::-1, layer.block_names.index("f")]
    direct = np.ones_like(c)
    direct[:-1] = np.cumprod(f, axis=0)[::-1]
    return Jacobians(h, by_c, direct)


def reach(
    layer: Callable[[Array], npt.ArrayLike],
    x: npt.ArrayLike,
    rng: np.random.Generator,
    size: float = 0.1,
) -> Array:
    """Measure how much the last output changes if the input of one step changes.

    A finite difference along a random direction: it estimates the size of the
    derivative of the output with respect to the input of step t, for each t.

    Args:
        layer: function from `(batch, T, features)` to `(batch, units)`, such as a
            Keras layer.
        x: inputs, `(batch, T, features)`; integers become float64.
        rng: draws the directions, one per sequence.
        size: length of the change, the nudge.

    Returns:
        `(T,)`: mean over the batch of `|change of output| / |nudge|`, for each step.

    Raises:
        ValueError: `x` does not have three axes, `size` is not positive or so small
            that it is lost in the rounding of `x`, or `layer` does not return one row
            per sequence.

    Example:
        >>> import numpy as np
        >>> from unrolled import reach
        >>> last = lambda x: x[:, -1]  # remembers the last step alone
        >>> reach(last, np.zeros((2, 3, 4)), np.random.default_rng(0)).round(6).tolist()
        [0.0, 0.0, 1.0]
    """
    x = as_floats(check_array("x", x, ("batch", "T", "features"), None))
    check_generator("rng", rng)
    size = check_positive("size", size)
    if not callable(layer):
        raise ValueError(f"layer is {layer!r}; expected a function of x")
    B, T, F = x.shape
    nudge = rng.normal(size=(B, F))
    nudge *= size / np.linalg.norm(nudge, axis=1, keepdims=True)
    # T copies of the batch, copy t with row t nudged: one call instead of T.
    nudged = np.repeat(x[None], T, axis=0)
    nudged[np.arange(T), :, np.arange(T)] += nudge.astype(x.dtype)
    applied = np.linalg.norm(
        nudged[np.arange(T), :, np.arange(T)] - x.swapaxes(0, 1), axis=2
    )
    if not np.allclose(applied, size, rtol=0.1, atol=0):
        raise ValueError(
            f"size is {size}, which is lost beside numbers up to {np.abs(x).max():.3g} "
            f"in {x.dtype}"
        )

    def last(inputs):
        out = as_floats(read_array("what layer returns", layer(inputs)))
        if out.size == 0 or out.shape[:1] != inputs.shape[:1]:
            raise ValueError(
                f"what layer returns has shape {out.shape}; expected ({len(inputs)}, "
                "units), the last output of each sequence"
            )
        return out

    moved = last(nudged.reshape(T * B, T, F)).reshape(T, B, -1) - last(x)
    return np.linalg.norm(moved, axis=2).mean(axis=1) / size


def _by_unit(layer, which):
    """Yield the gradients of each unit of state `which` for the states after t steps.

    Each is a tuple of arrays `(T + 1, batch, units)`, one per state of the layer.
    """
    _, _, states = layer._last_run()
    for k in range(layer.units):
        dstate = [np.zeros_like(s[-1]) for s in states]
        dstate[which][..., k] = 1
        _, carried = layer._through_time(None, tuple(dstate))
        yield tuple(np.stack(d) for d in zip(*carried, strict=True))
