"""Long short-term memory: four blocks, a state that is added to, and its derivative."""

import numpy as np

from recurrent.recurrence import Recurrent


class LSTM(Recurrent):
    """The LSTM with a forget gate, as `keras.layers.LSTM` has it.

        i_t = σ(x_t W_i + h_{t−1} U_i + b_i)        input gate
        f_t = σ(x_t W_f + h_{t−1} U_f + b_f)        forget gate
        g_t = tanh(x_t W_g + h_{t−1} U_g + b_g)     candidate (Keras's block "c")
        o_t = σ(x_t W_o + h_{t−1} U_o + b_o)        output gate
        c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t             cell state
        h_t = o_t ⊙ tanh(c_t)                       hidden state

    Weights, blocks in the order i, f, c, o: kernel W `(F, 4H)`, recurrent_kernel U
    `(H, 4H)`, bias b `(4H,)`. The bias of the forget gate begins at `forget_bias`;
    Keras's `unit_forget_bias=True` is 1.

    Arguments: `forget_bias`, and those of `Recurrent`.

    Sources: Hochreiter & Schmidhuber, "Long short-term memory", Neural Computation 9
    (1997); the forget gate: Gers, Schmidhuber & Cummins, "Learning to forget", Neural
    Computation 12 (2000); its bias: Jozefowicz et al., ICML 2015.
    """

    block_names = ("i", "f", "g", "o")
    state_names = ("h", "c")

    def __init__(self, units, features=None, *, forget_bias=1.0, **options):
        self.forget_bias = float(forget_bias)
        super().__init__(units, features, **options)

    def build(self, features, rngs=None):
        """As `Layer.build`; then the forget gate's bias."""
        super().build(features, rngs)
        self.weights["bias"][..., self.units : 2 * self.units] += self.forget_bias

    def _step(self, z, h, c):
        z += self._drop(h) @ self._U  # (4, batch, units)
        i, f, g, o = z
        sigmoid(z[:2])
        np.tanh(g, out=g)
        sigmoid(o)
        c = f * c + i * g
        h = o * np.tanh(c)
        return h, c

    def _step_back(self, z, before, after, dz, dh, dc):
        i, f, g, o = z
        (_, c_before), (_, c) = before, after
        tanh_c = np.tanh(c)
        dc = dc + dh * o * (1 - tanh_c**2)
        np.subtract(1, z, out=dz)
        dz *= z  # σ' = σ (1 − σ), for i, f and o
        dz[2] = 1 - g**2  # tanh' = 1 − tanh²
        dz[0] *= dc * g
        dz[1] *= dc * c_before
        dz[2] *= dc * i
        dz[3] *= dh * tanh_c
        dh = (dz @ self._U.swapaxes(-1, -2)).sum(0)
        return self._drop(dh), dc * f

    def _h_by_c(self, z, c):
        """∂h_t/∂c_t of every step, all else held: what the total derivative adds."""
        o = z[:, 3]
        return o * (1 - np.tanh(c) ** 2)


def sigmoid(z):
    """σ(z) = (1 + tanh(z/2)) / 2, in place: no overflow, and tanh is fast in NumPy."""
    z *= 0.5
    np.tanh(z, out=z)
    z += 1
    z *= 0.5
    return z
