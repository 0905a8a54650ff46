"""The LSTM whose gates also see the cell state."""

import numpy as np

from recurrent.initializers import initializer
from recurrent.layout import all_rows
from recurrent.lstm import LSTM, sigmoid


class PeepholeLSTM(LSTM):
    """The LSTM with a peephole from the cell state to each gate.

    As `LSTM`, but with one weight a unit and gate, p_i, p_f, p_o ∈ R^H:

        i_t = σ(x_t W_i + h_{t−1} U_i + p_i ⊙ c_{t−1} + b_i)
        f_t = σ(x_t W_f + h_{t−1} U_f + p_f ⊙ c_{t−1} + b_f)
        o_t = σ(x_t W_o + h_{t−1} U_o + p_o ⊙ c_t + b_o)

    Weights: those of `LSTM`, then peephole `(3, H)`, rows i, f, o; zeros to begin with,
    so that training starts from the plain LSTM. Keras has no such layer.

    Arguments: `peephole_initializer`, and those of `LSTM`.

    Source: Gers & Schmidhuber, "Recurrent nets that time and count", IJCNN 2000.
    """

    def __init__(
        self, units, features=None, *, peephole_initializer="zeros", **options
    ):
        self._peephole = initializer("peephole_initializer", peephole_initializer)
        super().__init__(units, features, **options)

    def _specification(self):
        peephole = ((3, self.units), self._peephole)
        return super()._specification() | {"peephole": peephole}

    @property
    def _p(self):
        return np.moveaxis(self.weights["peephole"], -2, 0)[..., None, :]

    def _step(self, z, h, c):
        p_i, p_f, p_o = self._p  # (1, units) each
        z += self._drop(h) @ self._U
        i, f, g, o = z
        i += p_i * c
        f += p_f * c
        sigmoid(z[:2])
        np.tanh(g, out=g)
        c = f * c + i * g
        o += p_o * c
        sigmoid(o)
        h = o * np.tanh(c)
        return h, c

    def _step_back(self, z, before, after, dz, dh, dc):
        p_i, p_f, p_o = self._p
        i, f, g, o = z
        (_, c_before), (_, c) = before, after
        tanh_c = np.tanh(c)
        dz[3] = dh * tanh_c * o * (1 - o)
        dc = dc + dh * o * (1 - tanh_c**2) + dz[3] * p_o
        dz[0] = dc * g * i * (1 - i)
        dz[1] = dc * c_before * f * (1 - f)
        dz[2] = dc * i * (1 - g**2)
        dh = (dz @ self._U.swapaxes(-1, -2)).sum(0)
        return self._drop(dh), dc * f + dz[0] * p_i + dz[1] * p_f

    def _h_by_c(self, z, c):
        o, p_o = z[:, 3], self._p[2]
        return super()._h_by_c(z, c) + np.tanh(c) * o * (1 - o) * p_o

    def _weight_gradients(self, x, z, states, dz):
        c_before, c = states[1][:-1], states[1][1:]
        seen = c_before * dz[:, 0], c_before * dz[:, 1], c * dz[:, 3]
        peephole = np.stack([all_rows(s).sum(-2) for s in seen], axis=-2)
        return super()._weight_gradients(x, z, states, dz) | {"peephole": peephole}
