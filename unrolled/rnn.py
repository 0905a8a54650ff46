"""The simple recurrent network: one equation, and its derivative."""

import numpy as np

from unrolled.recurrence import Recurrent


class RNN(Recurrent):
    """The simple recurrent network: Keras's `SimpleRNN`.

    In each step, with F features and H units::

        h_t = tanh(x_t W_xh + h_{t−1} W_hh + b_h)                 hidden state

    Its weights are the `kernel` W_xh, `(F, H)`, the `recurrent_kernel` W_hh, `(H, H)`,
    and the `bias` b_h, `(H,)`.

    Args:
        units: length H of the hidden state.
        features: length F of the input's last axis; taken from the first input if None.
        **options: as for `Recurrent`.

    Raises:
        ValueError: as `Recurrent`.

    Example:
        >>> import numpy as np
        >>> from unrolled import RNN
        >>> rnn = RNN(4, seed=0)
        >>> x = np.ones((2, 5, 3))  # two sequences of five steps
        >>> h, (h_T,) = rnn.forward(x)
        >>> h.shape, h_T.shape
        ((2, 5, 4), (2, 4))
        >>> dx, _, gradients = rnn.backward(np.ones_like(h))
        >>> {name: gradient.shape for name, gradient in gradients.items()}
        {'kernel': (3, 4), 'recurrent_kernel': (4, 4), 'bias': (4,)}

    References:
        Elman, "Finding structure in time", Cognitive Science 14 (1990).
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
        return (self._drop(da[0] @ self._W_h_T[0]),)
