"""Long short-term memory: four blocks, a state that is added to, and its derivative."""

from typing import Any

import numpy as np

from unrolled.checks import check_between
from unrolled.recurrence import Recurrent
from unrolled.types import Array


class LSTM(Recurrent):
    """The LSTM with a forget gate: Keras's `LSTM`.

    In each step, with F features and H units::

        i_t = σ(x_t W_xi + h_{t−1} W_hi + b_i)        input gate
        f_t = σ(x_t W_xf + h_{t−1} W_hf + b_f)        forget gate
        g_t = tanh(x_t W_xg + h_{t−1} W_hg + b_g)     candidate (Keras's block "c")
        o_t = σ(x_t W_xo + h_{t−1} W_ho + b_o)        output gate
        c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t               cell state
        h_t = o_t ⊙ tanh(c_t)                         hidden state

    Its weights are the `kernel` W_x, `(F, 4H)`, the `recurrent_kernel` W_h, `(H, 4H)`,
    and the `bias`, `(4H,)`, with the blocks in the order i, f, g, o (Keras writes c for
    g).

    Args:
        units: length H of the hidden state and of the cell state.
        features: length F of the input's last axis; taken from the first input if None.
        forget_bias: where the bias of the forget gate starts; 1 is Keras's
            `unit_forget_bias=True`.
        **options: as for `Recurrent`.

    Raises:
        ValueError: as `Recurrent`, or `forget_bias` is not a finite number.

    Example:
        >>> import numpy as np
        >>> from unrolled import LSTM
        >>> lstm = LSTM(4, seed=0)
        >>> x = np.ones((2, 5, 3))  # two sequences of five steps
        >>> h, (h_T, c_T) = lstm.forward(x)
        >>> h.shape, c_T.shape
        ((2, 5, 4), (2, 4))
        >>> dx, _, gradients = lstm.backward(np.ones_like(h))
        >>> {name: gradient.shape for name, gradient in gradients.items()}
        {'kernel': (3, 16), 'recurrent_kernel': (4, 16), 'bias': (16,)}
        >>> lstm.activations()["f"].shape  # the forget gate of each step
        (2, 5, 4)

    References:
        Hochreiter & Schmidhuber, "Long short-term memory", Neural Computation 9 (1997).

        The forget gate: Gers, Schmidhuber & Cummins, "Learning to forget", Neural
        Computation 12 (2000).

        Its bias: Jozefowicz, Zaremba & Sutskever, "An empirical exploration of
        recurrent network architectures", ICML 2015.
    """

    block_names = ("i", "f", "g", "o")
    state_names = ("h", "c")

    def __init__(
        self,
        units: int,
        features: int | None = None,
        *,
        forget_bias: float = 1.0,
        **options: Any,
    ) -> None:
        self.forget_bias = check_between("forget_bias", forget_bias, -np.inf, np.inf)
        super().__init__(units, features, **options)

    def _build(self, features):
        super()._build(features)
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
        (_, c_before), (h, c) = before, after
        dc = dc + dh * (o - h * np.tanh(c))  # dh o (1 − tanh²(c)), for h is o tanh(c)
        dc_i, dc_f = dc * i, dc * f
        np.multiply(dc_i * g, 1 - i, out=da[0])
        np.multiply(dc_f * c_before, 1 - f, out=da[1])
        np.multiply(dc_i, 1 - g**2, out=da[2])
        np.multiply(dh * h, 1 - o, out=da[3])
        dh = (da @ self._W_h_T).sum(0)
        return self._drop(dh), dc_f

    def _h_by_c(self, a, c):
        """Return ∂h_t/∂c_t of every step, the gates held constant, for `jacobians`."""
        o = a[:, 3]
        return o * (1 - np.tanh(c) ** 2)


def sigmoid(a: Array) -> Array:
    """Compute σ(a) = (1 + tanh(a/2)) / 2 in place.

    This form does not overflow, and tanh is fast in NumPy.
    """
    a *= 0.5
    np.tanh(a, out=a)
    a += 1
    a *= 0.5
    return a
