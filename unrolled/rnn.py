"""The simple recurrent network: one equation, and its derivative."""

import numpy as np

from unrolled.recurrence import Recurrent


class RNN(Recurrent):
    """h_t = tanh(x_t W_xh + h_{t−1} W_hh + b_h), which Keras calls `SimpleRNN`.

    Weights: kernel W_xh `(F, H)`, recurrent_kernel W_hh `(H, H)`, bias b_h `(H,)`.

    Arguments: those of `Recurrent`.

    Source: Elman, "Finding structure in time", Cognitive Science 14 (1990).
    """

    block_names = ("h",)
    state_names = ("h",)

    def _step(self, a, h):
        a += self._drop(h) @ self._W_h  # (1, batch, units): one block only
        np.tanh(a, out=a)
        return a

    def _step_back(self, a, before, after, da, dh):
        (h,) = after
        da[0] = dh * (1 - h**2)
        return (self._drop(da[0] @ self._W_h[0].swapaxes(-1, -2)),)
