"""The gated recurrent unit, in the two forms that are both called GRU."""

from typing import Any

import numpy as np

from unrolled.layout import accumulate, all_rows
from unrolled.lstm import sigmoid
from unrolled.recurrence import Recurrent


class GRU(Recurrent):
    """The gated recurrent unit: Keras's `GRU`.

    In each step, with F features and H units::

        z_t = σ(x_t W_xz + h_{t−1} W_hz + b_z)                    update gate
        r_t = σ(x_t W_xr + h_{t−1} W_hr + b_r)                    reset gate
        g_t = tanh(x_t W_xg + r_t ⊙ (h_{t−1} W_hg + b'_g) + b_g)  candidate
        g_t = tanh(x_t W_xg + (r_t ⊙ h_{t−1}) W_hg + b_g)         or this one
        h_t = z_t ⊙ h_{t−1} + (1 − z_t) ⊙ g_t                     hidden state

    The first candidate belongs to `reset_after=True`, Keras's default, which suits
    cuDNN: the reset gate comes after the product with W_hg, which has its own bias.

    Its weights are the `kernel` W_x, `(F, 3H)`, the `recurrent_kernel` W_h, `(H, 3H)`,
    and the `bias`, with the blocks in the order z, r, g (Keras writes h for g). With
    `reset_after` the bias is `(2, 3H)`, one row for the inputs and one for the
    recurrence; otherwise `(3H,)`.

    Args:
        units: length H of the hidden state.
        features: length F of the input's last axis; taken from the first input if None.
        reset_after: which candidate to use, see above.
        **options: as for `Recurrent`.

    Raises:
        ValueError: as `Recurrent`.

    Example:
        >>> import numpy as np
        >>> from unrolled import GRU
        >>> gru = GRU(4, seed=0)
        >>> h, (h_T,) = gru.forward(np.ones((2, 5, 3)))
        >>> h.shape, list(gru.activations())
        ((2, 5, 4), ['z', 'r', 'g', 'h'])

    References:
        Cho et al., "Learning phrase representations using RNN encoder-decoder", EMNLP
        2014, arXiv:1406.1078. Version 1 has the first candidate, version 3 and the
        proceedings the second. Cho's z is Keras's z: it keeps the old state.
    """

    block_names = ("z", "r", "g")

    def __init__(
        self,
        units: int,
        features: int | None = None,
        *,
        reset_after: bool = True,
        **options: Any,
    ) -> None:
        self.reset_after = bool(reset_after)
        super().__init__(units, features, **options)

    def _specification(self):
        weights = super()._specification()
        if self.reset_after:
            (width,), draw = weights["bias"]
            weights["bias"] = ((2, width), draw)
        return weights

    def _kernel_and_bias(self):
        if not self.reset_after:
            return super()._kernel_and_bias()
        bias, second = np.split(self.weights["bias"], 2, axis=-2)
        added = second.copy()  # to z and r; the candidate's waits for the reset gate
        added[..., 2 * self.units :] = 0
        return np.concatenate([self.weights["kernel"], bias + added], axis=-2)

    def _prepare(self):
        super()._prepare()
        if self.reset_after:
            self._b_g = self.weights["bias"][..., 1:, 2 * self.units :].copy()

    def _step(self, a, h):
        update, r, g = a
        if self.reset_after:
            from_state = self._drop(h) @ self._W_h
            a[:2] += from_state[:2]
            sigmoid(a[:2])
            g += r * (from_state[2] + self._b_g)
        else:
            a[:2] += self._drop(h) @ self._W_h[:2]
            sigmoid(a[:2])
            g += (r * self._drop(h)) @ self._W_h[2]
        np.tanh(g, out=g)
        return (update * h + (1 - update) * g,)

    def _step_back(self, a, before, after, da, dh):
        update, r, g = a
        (h,) = before
        W_T = self._W_h_T
        dg = da[2] = dh * (1 - update) * (1 - g**2)
        da[0] = dh * (h - g) * update * (1 - update)
        if self.reset_after:
            # Not kept from the forward pass: one product is cheaper than the memory.
            from_state = self._drop(h) @ self._W_h[2] + self._b_g
            da[1] = dg * from_state * r * (1 - r)
            by_candidate = (dg * r) @ W_T[2]
        else:
            d_reset = dg @ W_T[2]  # for r ⊙ h_{t−1}
            da[1] = d_reset * self._drop(h) * r * (1 - r)
            by_candidate = d_reset * r
        dh_before = (da[:2] @ W_T[:2]).sum(0) + by_candidate
        return (dh * update + self._drop(dh_before),)

    def _by_state(self, a, h_before, da):
        r, gates, candidate = a[:, 1], da[:, :2], da[:, 2:]
        if self.reset_after:
            candidate_part = accumulate(h_before, candidate * r[:, None])
        else:
            candidate_part = accumulate(r * h_before, candidate)
        return np.concatenate([accumulate(h_before, gates), candidate_part])

    def _weight_gradients(self, x, a, states, da):
        gradients = super()._weight_gradients(x, a, states, da)
        if not self.reset_after:
            return gradients
        # In the candidate the reset gate multiplies the second bias.
        second = gradients["bias"].copy()
        second[..., 2 * self.units :] = all_rows(da[:, 2] * a[:, 1]).sum(-2)
        return gradients | {"bias": np.stack([gradients["bias"], second], axis=-2)}
