"""How far back a state reaches: ∂h_T/∂h_t and ∂c_T/∂c_t, total and direct."""

import typing

import numpy as np

from recurrent.lstm import LSTM
from recurrent.recurrence import Recurrent


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
