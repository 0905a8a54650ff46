"""Optimisers: SGD and Adam as in Keras, and clipping by the global norm."""

from typing import Any

import numpy as np
import numpy.typing as npt

from unrolled.checks import (
    as_floats,
    check_array,
    check_between,
    check_positive,
    read_array,
)
from unrolled.types import Array, Arrays, PerNetwork
from unrolled.undo import undo_on_failure


def clip_by_global_norm(
    gradients: Arrays, max_norm: float, *, ensemble: bool = False
) -> tuple[Arrays, PerNetwork]:
    """Scale all gradients by one factor, so that their joint norm is within `max_norm`.

    The direction stays; only the length changes.

    Args:
        gradients: arrays by name.
        max_norm: largest Euclidean norm of all entries together.
        ensemble: whether the first axis of each array holds networks, to be clipped
            one by one.

    Returns:
        `(clipped, norm)`: a new dict, and the norm before clipping: a float, or
        `(networks,)` for an ensemble.

    Raises:
        ValueError: `max_norm` is not a number above 0, or there are no gradients.

    Example:
        >>> import numpy as np
        >>> from unrolled import clip_by_global_norm
        >>> clipped, norm = clip_by_global_norm({"w": np.array([3.0, 4.0])}, 1.0)
        >>> print(norm, clipped["w"])
        5.0 [0.6 0.8]

    References:
        Pascanu, Mikolov & Bengio, "On the difficulty of training recurrent neural
        networks", ICML 2013, arXiv:1211.5063.
    """
    max_norm = check_positive("max_norm", max_norm)
    gradients = _read_gradients(gradients)
    networks = next(iter(gradients.values())).shape[: int(ensemble)]
    # One row per network: then its sum runs in the same order as for it alone.
    rows = [g.reshape(*networks, -1) for g in gradients.values()]
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        norm = _norm(rows)
        limits = np.finfo(norm.dtype)
        fits = (norm > limits.tiny**0.5 / limits.eps) & (norm < np.inf)
        if not fits.all():  # squares too small or too large for the dtype
            largest = np.max([np.abs(row).max(axis=-1) for row in rows], axis=0)
            usual = (largest > 0) & (largest < np.inf)
            largest = np.where(usual, largest, 1).astype(norm.dtype)
            scaled = _norm([row / largest[..., None] for row in rows]) * largest
            norm = np.where(fits, norm, scaled)
        factor = np.minimum(1, max_norm / norm)  # (networks,) or ()
    clipped = {}
    for name, g in gradients.items():
        scaled = g * factor.reshape(factor.shape + (1,) * (g.ndim - factor.ndim))
        clipped[name] = scaled.astype(g.dtype, copy=False)
    return clipped, (norm if ensemble else float(norm))


def _norm(rows):
    """Compute the joint Euclidean norm of rows `(…, n)`, one for each of `…`."""
    return np.sqrt(sum((row**2).sum(axis=-1) for row in rows))


def _read_gradients(gradients: Arrays) -> Arrays:
    """Return gradients as arrays of floats by name."""
    if not isinstance(gradients, dict) or not gradients:
        raise ValueError(
            f"gradients is {gradients!r:.60}; expected a dict of arrays by name"
        )
    return {
        name: as_floats(read_array(f"gradients[{name!r}]", g))
        for name, g in gradients.items()
    }


class Optimizer:
    """What SGD and Adam share. The arguments have Keras's names and meaning.

    Args:
        learning_rate: size of a step; for an ensemble perhaps one for each network,
            `(networks,)`.
        weight_decay: before each step every weight shrinks by this share, times the
            learning rate (decoupled weight decay); None for none.
        global_clipnorm: largest norm of all gradients together, see
            `clip_by_global_norm`; None does not clip.

    Attributes:
        iterations: how many steps have been taken.
        slots: for each weight, by name, the arrays of its shape that the optimiser
            keeps from step to step.

    Raises:
        ValueError: a number out of range.

    References:
        Loshchilov & Hutter, "Decoupled weight decay regularization", ICLR 2019,
        arXiv:1711.05101.
    """

    slots_per_weight = 0

    def __init__(
        self,
        learning_rate: npt.ArrayLike,
        *,
        weight_decay: float | None = None,
        global_clipnorm: float | None = None,
    ) -> None:
        self.learning_rate = learning_rate
        if weight_decay is not None:
            weight_decay = check_between("weight_decay", weight_decay, 0, np.inf)
        self.weight_decay = weight_decay
        if global_clipnorm is not None:
            global_clipnorm = check_positive("global_clipnorm", global_clipnorm)
        self.global_clipnorm = global_clipnorm
        self.iterations = 0
        self.slots: dict[str, list[Array]] = {}

    @property
    def learning_rate(self) -> PerNetwork:
        """Size of the next step; may be set between steps."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: npt.ArrayLike) -> None:
        self._learning_rate: PerNetwork
        if np.ndim(value) == 0:
            self._learning_rate = check_between("learning_rate", value, 0, np.inf)
            return
        rates = check_array("learning_rate", value, ("networks",), "float64")
        if (rates < 0).any():
            raise ValueError(f"learning_rate is {rates}; expected numbers, 0 or more")
        self._learning_rate = rates.copy()

    def apply(
        self, weights: Arrays, gradients: Arrays, *, ensemble: bool = False
    ) -> None:
        """Take one step.

        Args:
            weights: arrays by name, changed in place.
            gradients: arrays of the same names and shapes.
            ensemble: whether the first axis of each array holds networks.

        Raises:
            ValueError: names or shapes differ, from each other or from those of the
                last step, weights are no arrays of floats, or there is a learning rate
                for each of other networks. Nothing has changed then.
        """
        gradients = _read_gradients(gradients)
        if not isinstance(weights, dict):
            raise ValueError(
                f"weights is {type(weights).__name__}; expected a dict of arrays by "
                "name"
            )
        for name, w in weights.items():
            if not isinstance(w, np.ndarray) or w.dtype.kind != "f":
                got = getattr(w, "dtype", type(w).__name__)
                raise ValueError(
                    f"weights[{name!r}] is {got}; expected an array of floats"
                )
            if not w.flags.writeable:
                raise ValueError(
                    f"weights[{name!r}] is read-only; expected one to change"
                )
        shapes = {name: g.shape for name, g in gradients.items()}
        expected = {name: w.shape for name, w in weights.items()}
        if shapes != expected:
            raise ValueError(f"gradients has {shapes}; expected {expected}")
        rates = np.shape(self.learning_rate)
        if rates and not (ensemble and all(s[:1] == rates for s in shapes.values())):
            raise ValueError(
                f"learning_rate has shape {rates}; expected a number, or one for each "
                "network of an ensemble"
            )
        if self.global_clipnorm is not None:
            gradients, _ = clip_by_global_norm(
                gradients, self.global_clipnorm, ensemble=ensemble
            )
        kept = {name: slots[0].shape for name, slots in self.slots.items() if slots}
        if kept and kept != expected:
            raise ValueError(
                f"weights has {expected}; expected {kept}, as in the steps before"
            )
        changed = [*weights.values(), *(a for s in self.slots.values() for a in s)]
        with undo_on_failure(changed, [self]):
            self.iterations += 1
            if not self.slots:
                self.make_slots(weights)
            for name, w in weights.items():
                if self.weight_decay:
                    w *= 1 - self._rate(w, self.weight_decay)
                self._move(w, gradients[name], *self.slots[name])

    def make_slots(self, weights: Arrays) -> None:
        """Set the slots of all weights to zero."""
        self.slots = {
            name: [np.zeros_like(w) for _ in range(self.slots_per_weight)]
            for name, w in weights.items()
        }

    def _rate(self, w, factor=1.0):
        """The learning rate times a factor, in a form that leaves w's dtype alone."""
        rate = self.learning_rate * factor
        if np.ndim(rate) == 0:
            return float(rate)  # a NumPy float64 would make float32 weights float64
        return rate.astype(w.dtype).reshape(-1, *[1] * (w.ndim - 1))

    def _move(self, w, g, *slots):
        """Change one weight in place, and its slots."""
        raise NotImplementedError


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if asked for.

    For each weight w with gradient g::

        m ← momentum · m − learning_rate · g
        w ← w + m

    Args:
        learning_rate: size of a step, or of each network's; see `Optimizer`.
        momentum: share of the last step that is taken again, in [0, 1).
        **options: `weight_decay` and `global_clipnorm`, as for `Optimizer`.

    Raises:
        ValueError: a number out of range.
    """

    slots_per_weight = 1

    def __init__(
        self, learning_rate: npt.ArrayLike = 0.01, momentum: float = 0.0, **options: Any
    ) -> None:
        super().__init__(learning_rate, **options)
        self.momentum = check_between("momentum", momentum, 0, 1)

    def _move(self, w, g, m):
        m *= self.momentum
        m -= self._rate(g) * g
        w += m


class Adam(Optimizer):
    """Adam: running means of g and g², corrected for their start at zero.

    In step t, for each weight w with gradient g::

        m ← m + (1 − beta_1) (g − m)
        v ← v + (1 − beta_2) (g² − v)
        w ← w − learning_rate · √(1 − beta_2ᵗ) / (1 − beta_1ᵗ) · m / (√v + epsilon)

    Args:
        learning_rate: size of a step, or of each network's; see `Optimizer`.
        beta_1: share of the mean of g that is kept, in [0, 1).
        beta_2: share of the mean of g² that is kept, in [0, 1).
        epsilon: keeps the division finite; placed as in Keras (the paper's "ε hat").
        **options: `weight_decay` and `global_clipnorm`, as for `Optimizer`.

    Raises:
        ValueError: a number out of range.

    Example:
        >>> import numpy as np
        >>> from unrolled import Adam
        >>> adam, w = Adam(learning_rate=0.1), {"w": np.array([1.0, 2.0])}
        >>> adam.apply(w, {"w": np.array([0.5, -0.5])})
        >>> w["w"].round(4).tolist()
        [0.9, 2.1]

    References:
        Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015,
        arXiv:1412.6980.
    """

    slots_per_weight = 2

    def __init__(
        self,
        learning_rate: npt.ArrayLike = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        self.beta_1 = check_between("beta_1", beta_1, 0, 1)
        self.beta_2 = check_between("beta_2", beta_2, 0, 1)
        self.epsilon = check_between("epsilon", epsilon, 0, np.inf)

    def _move(self, w, g, m, v):
        t = self.iterations
        m += (g - m) * (1 - self.beta_1)
        v += (g**2 - v) * (1 - self.beta_2)
        step = self._rate(w, np.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t))
        w -= step * m / (np.sqrt(v) + self.epsilon)


OPTIMIZERS: dict[str, type[SGD] | type[Adam]] = {"sgd": SGD, "adam": Adam}
