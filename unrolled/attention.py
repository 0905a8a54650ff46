"""Causal self-attention, and the positions that it needs to know the order of steps."""

from typing import Any

import numpy as np
import numpy.typing as npt

from unrolled.checks import check_array, check_integer, check_positive, check_tuple
from unrolled.initializers import find_initializer, zeros
from unrolled.layer import Layer
from unrolled.layout import read_only
from unrolled.types import Array, Arrays, Initializer, Seed, States


class Attention(Layer):
    """Causal self-attention with one head or several, without a loop over time.

    Each step asks all steps up to its own, and gets a mean of their values. In each
    head, with F features and D = H / heads units::

        q_t = x_t W_q + b_q        query
        k_t = x_t W_k + b_k        key
        v_t = x_t W_v + b_v        value
        α_ts = exp(q_t · k_s / √D) / Σ_{r ≤ t} exp(q_t · k_r / √D), for s ≤ t
        h_t = Σ_{s ≤ t} α_ts v_s   output

    The heads' outputs stand side by side in h_t, H numbers. This is what Keras's
    `MultiHeadAttention(heads, D)` computes with a causal mask, before its output
    projection; here the next layer does that.

    Its weights are the `kernel` W, `(F, 3H)`, with the blocks q, k, v, and the `bias`,
    `(3H,)`. A mean does not know the order of its terms: see `PositionalEncoding`.

    Args:
        units: length H of the output, a multiple of `heads`.
        features: length F of the input's last axis; taken from the first input if None.
        heads: number of heads.
        kernel_initializer: see `unrolled.initializers`; the bias starts at zero.
        seed: an integer, or a sequence of integers for an ensemble: one per network.
        dtype: "float32" to train, "float64" to check gradients.

    Raises:
        ValueError: units, features or heads below 1, units that are no multiple of
            heads, or an unknown name.

    Example:
        >>> import numpy as np
        >>> from unrolled import Attention
        >>> layer = Attention(8, heads=2)
        >>> h, state = layer.forward(np.ones((2, 5, 3)))
        >>> h.shape, state
        ((2, 5, 8), ())
        >>> alpha = layer.activations()["alpha"]  # sequence, head, asking step, step
        >>> alpha.shape
        (2, 2, 5, 5)
        >>> alpha[0, 0, 1].tolist()  # equal steps share the weight; none sees the next
        [0.5, 0.5, 0.0, 0.0, 0.0]

    References:
        Vaswani et al., "Attention is all you need", NeurIPS 2017, arXiv:1706.03762.
    """

    along_time = True

    def __init__(
        self,
        units: int,
        features: int | None = None,
        *,
        heads: int = 1,
        kernel_initializer: Initializer = "glorot_uniform",
        seed: Seed = 0,
        dtype: npt.DTypeLike = "float32",
    ) -> None:
        super().__init__(seed, dtype)
        self.units = self.output_features = check_integer("units", units, 1)
        self.heads = check_integer("heads", heads, 1)
        if self.units % self.heads:
            raise ValueError(
                f"heads is {heads}; expected a divisor of units, which is {units}"
            )
        self._initializer = find_initializer("kernel_initializer", kernel_initializer)
        if features is not None:
            self.build(features)

    def _specification(self):
        width = 3 * self.units
        kernel = ((self.features, width), self._initializer)
        return {"kernel": kernel, "bias": ((width,), zeros)}

    def forward(
        self,
        x: npt.ArrayLike,
        initial_state: States | None = None,
        *,
        return_sequences: bool = True,
        training: bool = False,
    ) -> tuple[Array, States]:
        """Run over the sequences.

        Args:
            x: `(batch, time, features)`. In an ensemble each network may have an input
                of its own, `(networks, batch, time, features)`.
            initial_state: None or `()`, as there is no state.
            return_sequences: whether every step asks, or the last one only, which takes
                T scores instead of T².
            training: changes nothing.

        Returns:
            `(h, ())`: h is `(batch, time, units)`, or `(batch, units)` without
            `return_sequences`. In an ensemble the networks are one axis more, in front.
            It is read-only.

        Raises:
            ValueError: a shape that does not fit, NaN, or not numbers.
        """
        x = self.check_input(x).copy()
        if initial_state is not None:
            check_tuple("initial_state", initial_state, ())
        self._run = None
        kernel = self.weights["kernel"].copy()
        bias = self.weights["bias"][..., None, :]
        q, k, v = self._split(_rows(x) @ kernel + bias, x)  # each (…, B, heads, T, D)
        if not return_sequences:
            q = q[..., -1:, :]

        T, asking = k.shape[-2], q.shape[-2]
        score = q @ k.swapaxes(-1, -2) / self._scale  # (…, B, heads, asking, T)
        later = np.arange(T) > np.arange(T - asking, T)[:, None]
        score[..., later] = -np.inf  # no step sees a later one
        alpha = np.exp(score - score.max(axis=-1, keepdims=True))
        alpha /= alpha.sum(axis=-1, keepdims=True)
        out = self._join(alpha @ v)  # (…, B, asking, H)

        if not return_sequences:
            out = out[..., 0, :]
        self._output_shape = out.shape
        self._run = x, kernel, q, k, v, alpha
        return read_only(out), ()

    def activations(self) -> Arrays:
        """Return the weights of the mean in the last `forward`.

        Returns:
            read-only `{"alpha": (batch, heads, asking, time)}`, each row with the sum
            1; `asking` is time, or 1 without `return_sequences`.

        Raises:
            ValueError: `forward` has not run yet.
        """
        return {"alpha": read_only(self._last_run()[-1])}

    def backward(
        self,
        dout: Array | None,
        dstate: States | None = None,
        *,
        truncate: int | None = None,
        input_gradient: bool = True,
    ) -> tuple[Array | None, States, Arrays]:
        """Compute `(dx, (), gradients)`; see `Recurrent.backward`.

        `truncate` changes nothing: it cuts the way from step to step, and there is
        none.
        """
        x, kernel, q, k, v, alpha = self._last_run()
        dout = np.zeros(self._output_shape) if dout is None else dout
        dout = check_array("dout", dout, self._output_shape, self.dtype)
        if dstate is not None:
            check_tuple("dstate", dstate, ())
        asking = q.shape[-2]
        dh = self._heads(dout.reshape(*dout.shape[: alpha.ndim - 3], asking, -1))

        dv = alpha.swapaxes(-1, -2) @ dh
        dalpha = dh @ v.swapaxes(-1, -2)
        of_mean = (dalpha * alpha).sum(axis=-1, keepdims=True)
        dscore = alpha * (dalpha - of_mean) / self._scale  # the softmax, back
        dk = dscore.swapaxes(-1, -2) @ q
        dq = np.zeros_like(k)
        dq[..., -asking:, :] = dscore @ k

        da = np.concatenate([self._join(d) for d in (dq, dk, dv)], axis=-1)
        da = _rows(da)  # (…, B T, 3H), as the inputs of the products
        gradients = {"kernel": _rows(x).swapaxes(-1, -2) @ da, "bias": da.sum(-2)}
        if not input_gradient:
            return None, (), gradients
        dx = da @ kernel.swapaxes(-1, -2)
        return dx.reshape(*self._leading_shape, *x.shape[-3:]), (), gradients

    @property
    def _scale(self):
        """√D, a number of the layer's dtype."""
        return self.dtype.type(np.sqrt(self.units // self.heads))

    def _split(self, a, x):
        """View `(…, batch · time, 3H)` as queries, keys and values of each head."""
        B, T = x.shape[-3:-1]
        a = a.reshape(*a.shape[:-2], B, T, 3 * self.units)
        return [self._heads(part) for part in np.split(a, 3, axis=-1)]

    def _heads(self, a):
        """View `(…, time, H)` as `(…, heads, time, D)`."""
        return a.reshape(*a.shape[:-1], self.heads, -1).swapaxes(-2, -3)

    def _join(self, a):
        """Undo `_heads`."""
        a = a.swapaxes(-2, -3)
        return a.reshape(*a.shape[:-2], self.units)


class PositionalEncoding(Layer):
    """Adds to each step a pattern that says which step it is: sines and cosines.

    With n features, step t = 0, 1, … gets::

        p_t[2k] = sin(t / longest^(2k / n)),   p_t[2k + 1] = cos(t / longest^(2k / n))

    There are no weights. Usually a `Dense` layer stands before it, as an embedding of
    the right width.

    Args:
        longest: the wavelengths run from 2π to nearly 2π · longest steps.
        seed: an integer, or a sequence of integers for an ensemble.
        dtype: "float32" or "float64".

    Raises:
        ValueError: `longest` is not a positive number.

    Example:
        >>> import numpy as np
        >>> from unrolled import Attention, Dense, PositionalEncoding
        >>> from unrolled import SequenceClassifier
        >>> layers = [Dense(16), PositionalEncoding(), Attention(16, heads=2)]
        >>> model = SequenceClassifier(layers, 4)
        >>> model.predict(np.ones((3, 20, 8))).shape
        (3, 4)

    References:
        Vaswani et al., "Attention is all you need", NeurIPS 2017, section 3.5.
    """

    def __init__(
        self,
        longest: float = 10_000,
        *,
        seed: Seed = 0,
        dtype: npt.DTypeLike = "float32",
    ) -> None:
        super().__init__(seed, dtype)
        self.longest = check_positive("longest", longest)

    def _build(self, features):
        self.features = self.output_features = features  # no weights to draw

    def forward(
        self,
        x: npt.ArrayLike,
        initial_state: States | None = None,
        *,
        return_sequences: bool = True,
        training: bool = False,
    ) -> tuple[Array, States]:
        """Compute `(x with positions, ())`, `(batch, time, features)` both."""
        x = self.check_input(x)
        out = x + self._positions(*x.shape[-2:])
        self._run = out.shape
        return read_only(out), ()

    def _positions(self, steps, n):
        """Return the patterns of the first steps, `(steps, n)`."""
        pair = np.arange(n) // 2
        angle = np.arange(steps)[:, None] / self.longest ** (2 * pair / n)
        odd = np.arange(n) % 2 == 1
        return np.where(odd, np.cos(angle), np.sin(angle)).astype(self.dtype)

    def backward(
        self,
        dout: Array | None,
        dstate: States | None = None,
        *,
        truncate: int | None = None,
        input_gradient: bool = True,
    ) -> tuple[Array | None, States, Arrays]:
        """Compute `(dx, (), {})`; see `Recurrent.backward`."""
        shape = self._last_run()
        if dout is None:
            return None, (), {}
        return check_array("dout", dout, shape, self.dtype), (), {}


def _rows(x: Any) -> Any:
    """Reshape `(…, batch, time, n)` to `(…, batch · time, n)`."""
    return x.reshape(*x.shape[:-3], -1, x.shape[-1])
