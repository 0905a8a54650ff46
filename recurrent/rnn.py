"""The simple recurrent network: one equation, and its derivative."""

import numpy as np

from recurrent.recurrence import Recurrent


class RNN(Recurrent):
    """h_t = tanh(x_t W + h_{t−1} U + b), the layer that Keras calls `SimpleRNN`.

    Weights: kernel W `(F, H)`, recurrent_kernel U `(H, H)`, bias b `(H,)`.

    Arguments: those of `Recurrent`.

    Source: Elman, "Finding structure in time", Cognitive Science 14 (1990).
    """

    block_names = ("h",)
    state_names = ("h",)

    def _step(self, z, h):
        z += self._drop(h) @ self._U  # (1, batch, units): one block only
        np.tanh(z, out=z)
        return z

    def _step_back(self, z, before, after, dz, dh):
        (h,) = after
        dz[0] = dh * (1 - h**2)
        return (self._drop(dz[0] @ self._U[0].swapaxes(-1, -2)),)
