"""The LSTM whose gates also see the cell state."""

from typing import Any

import numpy as np

from unrolled.initializers import find_initializer
from unrolled.layout import all_rows
from unrolled.lstm import LSTM, sigmoid
from unrolled.types import Initializer


class PeepholeLSTM(LSTM):
    """The LSTM with a peephole from the cell state to each gate.

    It differs from `LSTM` by one weight per unit and gate, p_i, p_f, p_o ∈ R^H::

        i_t = σ(x_t W_xi + h_{t−1} W_hi + p_i ⊙ c_{t−1} + b_i)
        f_t = σ(x_t W_xf + h_{t−1} W_hf + p_f ⊙ c_{t−1} + b_f)
        o_t = σ(x_t W_xo + h_{t−1} W_ho + p_o ⊙ c_t + b_o)

    Its weights are those of `LSTM`, then `peephole`, `(3, H)`, with the rows i, f, o.
    Keras has no such layer.

    Args:
        units: length H of the hidden state and of the cell state.
        features: length F of the input's last axis; taken from the first input if None.
        peephole_initializer: see `unrolled.initializers`; with zeros, training starts
            from the plain LSTM.
        **options: as for `LSTM`.

    Raises:
        ValueError: as `LSTM`.

    References:
        Gers & Schmidhuber, "Recurrent nets that time and count", IJCNN 2000.
    """

    def __init__(
        self,
        units: int,
        features: int | None = None,
        *,
        peephole_initializer: Initializer = "zeros",
        **options: Any,
    ) -> None:
        self._peephole = find_initializer("peephole_initializer", peephole_initializer)
        super().__init__(units, features, **options)

    def _specification(self):
        peephole = ((3, self.units), self._peephole)
        return super()._specification() | {"peephole": peephole}

    def _prepare(self):
        super()._prepare()
        peephole = self.weights["peephole"].copy()
        self._p = np.moveaxis(peephole, -2, 0)[..., None, :]

    def _step(self, a, h, c):
        p_i, p_f, p_o = self._p  # (1, units) each
        a += self._drop(h) @ self._W_h
        i, f, g, o = a
        i += p_i * c
        f += p_f * c
        sigmoid(a[:2])
        np.tanh(g, out=g)
        c = f * c + i * g
        o += p_o * c
        sigmoid(o)
        h = o * np.tanh(c)
        return h, c

    def _step_back(self, a, before, after, da, dh, dc):
        p_i, p_f, p_o = self._p
        i, f, g, o = a
        (_, c_before), (_, c) = before, after
        tanh_c = np.tanh(c)
        da[3] = dh * tanh_c * o * (1 - o)
        dc = dc + dh * o * (1 - tanh_c**2) + da[3] * p_o
        da[0] = dc * g * i * (1 - i)
        da[1] = dc * c_before * f * (1 - f)
        da[2] = dc * i * (1 - g**2)
        dh = (da @ self._W_h_T).sum(0)
        return self._drop(dh), dc * f + da[0] * p_i + da[1] * p_f

    def _h_by_c(self, a, c):
        o, p_o = a[:, 3], self._p[2]
        return super()._h_by_c(a, c) + np.tanh(c) * o * (1 - o) * p_o

    def _weight_gradients(self, x, a, states, da):
        c_before, c = states[1][:-1], states[1][1:]
        seen = c_before * da[:, 0], c_before * da[:, 1], c * da[:, 3]
        peephole = np.stack([all_rows(s).sum(-2) for s in seen], axis=-2)
        return super()._weight_gradients(x, a, states, da) | {"peephole": peephole}
