"""Long short-term memory: four blocks, a state that is added to, and its derivative."""

import numpy as np

from unrolled.checks import check_between
from unrolled.recurrence import Recurrent


class LSTM(Recurrent):
    """The LSTM with a forget gate, as `keras.layers.LSTM` has it.

        i_t = σ(x_t W_xi + h_{t−1} W_hi + b_i)        input gate
        f_t = σ(x_t W_xf + h_{t−1} W_hf + b_f)        forget gate
        g_t = tanh(x_t W_xg + h_{t−1} W_hg + b_g)     candidate (Keras's block "c")
        o_t = σ(x_t W_xo + h_{t−1} W_ho + b_o)        output gate
        c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t               cell state
        h_t = o_t ⊙ tanh(c_t)                         hidden state

    Weights, blocks in the order i, f, g, o (Keras writes c for g): kernel W_x `(F,
    4H)`, recurrent_kernel W_h `(H, 4H)`, bias `(4H,)`. The bias of the forget gate
    begins at `forget_bias`; Keras's `unit_forget_bias=True` is 1.

    Arguments: `forget_bias`, and those of `Recurrent`.

    Sources: Hochreiter & Schmidhuber, "Long short-term memory", Neural Computation 9
    (1997); the forget gate: Gers, Schmidhuber & Cummins, "Learning to forget", Neural
    Computation 12 (2000); its bias: Jozefowicz et al., ICML 2015.
    """

    block_names = ("i", "f", "g", "o")
    state_names = ("h", "c")

    def __init__(self, units, features=None, *, forget_bias=1.0, **options):
        self.forget_bias = check_between("forget_bias", forget_bias, -np.inf, np.inf)
        super().__init__(units, features, **options)

    def build(self, features, rngs=None):
        """As `Layer.build`; then the forget gate's bias."""
        super().build(features, rngs)
        self.weights["bias"][..., self.units : 2 * self.units] = self.forget_bias

    def _step(self, a, h, c):
        a += self._drop(h) @ self._W_h  # (4, batch, units)
        i, f, g, o = a
        sigmoid(a[:2])
        np.tanh(g, out=g)
        sigmoid(o)
        c = f * c + i * g
        h = o * np.tanh(c)
        return h, c

    def _step_back(self, a, before, after, da, dh, dc):
        i, f, g, o = a
        (_, c_before), (_, c) = before, after
        tanh_c = np.tanh(c)
        dc = dc + dh * o * (1 - tanh_c**2)
        np.subtract(1, a, out=da)
        da *= a  # σ' = σ (1 − σ), for i, f and o
        da[2] = 1 - g**2  # tanh' = 1 − tanh²
        da[0] *= dc * g
        da[1] *= dc * c_before
        da[2] *= dc * i
        da[3] *= dh * tanh_c
        dh = (da @ self._W_h.swapaxes(-1, -2)).sum(0)
        return self._drop(dh), dc * f

    def _h_by_c(self, a, c):
        """∂h_t/∂c_t of every step, all else held: what the total derivative adds."""
        o = a[:, 3]
        return o * (1 - np.tanh(c) ** 2)


def sigmoid(a):
    """σ(a) = (1 + tanh(a/2)) / 2, in place: no overflow, and tanh is fast in NumPy."""
    a *= 0.5
    np.tanh(a, out=a)
    a += 1
    a *= 0.5
    return a
