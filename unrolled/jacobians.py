"""How far back a state reaches: ∂h_T/∂h_t and ∂c_T/∂c_t, total and direct."""

import typing

import numpy as np

from unrolled.lstm import LSTM
from unrolled.recurrence import Recurrent


class Jacobians(typing.NamedTuple):
    """Derivatives of the last state for the state after t steps, t = 0 … T.

    Attributes:
        h: ∂h_T/∂h_t, `(T + 1, batch, units, units)`: row k is the derivative of unit k
            of h_T. Of an LSTM, c_t is held.
        c: dc_T/dc_t, the total derivative, likewise: along the cell state, and by way
            of h_t = o_t ⊙ tanh(c_t) into the gates of the steps after t. For t = 0, h_0
            is held: it is given, not made from c_0. None if there is no cell state.
        c_direct: the diagonal of the direct path alone, ∏ f_s for s = t + 1 … T,
            `(T + 1, batch, units)`. None if the layer has no cell state.
    """

    h: np.ndarray
    c: np.ndarray | None = None
    c_direct: np.ndarray | None = None


def jacobians(layer, x, initial_state=None):
    """Run `layer` over x and return how its last state depends on the earlier ones.

    Exact: one backward pass for each unit, with ∂L/∂h_T (or ∂L/∂c_T) a unit vector.

    Args:
        layer: an `RNN`, `LSTM`, `GRU` or `PeepholeLSTM`, a single network.
        x: `(batch, time, features)`.
        initial_state: as `forward` takes it.

    Returns:
        `Jacobians`, in the layer's dtype.

    Raises:
        ValueError: another kind of layer, a stack of networks, or as `forward`.
    """
    if not isinstance(layer, Recurrent) or layer.networks is not None:
        raise ValueError(
            f"layer is {type(layer).__name__}, networks: {layer.networks}; "
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


def reach(layer, x, rng, size=0.1):
    """How far the layer's output moves for a nudge to step t, per unit of nudge.

    A finite difference along a random direction: it estimates the size of the
    derivative of the last hidden state with respect to the input of step t.

    Args:
        layer: callable from `(batch, T, features)` to `(batch, units)`, such as a
            Keras layer.
        x: inputs, `(batch, T, features)`.
        rng: `numpy.random.Generator` that draws the directions, one a sequence.
        size: length of the nudge.

    Returns:
        `(T,)`: mean over the batch of |change of output| / |nudge|, for each step.

    Raises:
        ValueError: `x` has not three axes, or `size` is not positive.
    """
    x = np.asarray(x)
    if x.ndim != 3:
        raise ValueError(f"x has shape {x.shape}; expected (batch, T, features)")
    if not size > 0:
        raise ValueError(f"size is {size}; expected a positive length")
    B, T, F = x.shape
    nudge = rng.normal(size=(B, F))
    nudge *= size / np.linalg.norm(nudge, axis=1, keepdims=True)
    # T copies of the batch, copy t with row t nudged: one call instead of T.
    nudged = np.repeat(x[None], T, axis=0)
    nudged[np.arange(T), :, np.arange(T)] += nudge.astype(x.dtype)
    moved = np.asarray(layer(nudged.reshape(T * B, T, F))).reshape(
        T, B, -1
    ) - np.asarray(layer(x))
    return np.linalg.norm(moved, axis=2).mean(axis=1) / size


def _by_unit(layer, which):
    """For each unit k of state `which`: its gradients for every state after t steps.

    Each a tuple of arrays `(T + 1, batch, units)`, one for each of the layer's states.
    """
    _, _, states = layer._last_run()
    for k in range(layer.units):
        dstate = [np.zeros_like(s[-1]) for s in states]
        dstate[which][..., k] = 1
        _, carried = layer._through_time(None, tuple(dstate))
        yield tuple(np.stack(d) for d in zip(*carried, strict=True))
