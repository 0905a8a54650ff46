"""Steps downhill: SGD and Adam as in Keras, and clipping by the global norm."""

import numpy as np

from unrolled.checks import check_between, check_positive


def clip_by_global_norm(gradients, max_norm, *, stacked=False):
    """Scale all gradients by one factor: their joint norm is at most `max_norm`.

    The direction stays; only the length changes.

    Args:
        gradients: dict from name to array.
        max_norm: largest Euclidean norm of all entries together.
        stacked: whether the first axis of each array holds networks, clipped one by
            one.

    Returns:
        `(clipped, norm)`: a new dict, and the norm before: a float, or `(networks,)`.

    Raises:
        ValueError: `max_norm` is no number above 0.

    Source: Pascanu, Mikolov & Bengio, "On the difficulty of training recurrent neural
    networks", ICML 2013, arXiv:1211.5063.
    """
    max_norm = check_positive("max_norm", max_norm)
    networks = next(iter(gradients.values())).shape[:stacked]
    # One row a network: the sum then runs in the same order as for a single one.
    rows = [g.reshape(*networks, -1) for g in gradients.values()]
    norm = np.sqrt(sum((row**2).sum(axis=-1) for row in rows))
    factor = max_norm / np.maximum(norm, max_norm)

    def fit(g):
        return g * factor.reshape(factor.shape + (1,) * (g.ndim - factor.ndim))

    clipped = {
        name: fit(g).astype(g.dtype, copy=False) for name, g in gradients.items()
    }
    return clipped, norm


class Optimizer:
    """What SGD and Adam share. Arguments have Keras's names and meaning.

    Args:
        learning_rate: size of a step; may be changed between steps.
        weight_decay: share of each weight, times the learning rate, taken off before a
            step (decoupled: Loshchilov & Hutter 2019, arXiv:1711.05101); None for none.
        global_clipnorm: see `clip_by_global_norm`; None for none.

    Attributes:
        iterations: steps taken.
        slots: name of weight → list of the optimiser's own arrays of that shape.

    Raises:
        ValueError: a number out of range.
    """

    slots_per_weight = 0

    def __init__(self, learning_rate, *, weight_decay=None, global_clipnorm=None):
        self.learning_rate = check_between("learning_rate", learning_rate, 0, np.inf)
        if weight_decay is not None:
            weight_decay = check_between("weight_decay", weight_decay, 0, np.inf)
        self.weight_decay = weight_decay
        if global_clipnorm is not None:
            global_clipnorm = check_positive("global_clipnorm", global_clipnorm)
        self.global_clipnorm = global_clipnorm
        self.iterations = 0
        self.slots = {}

    def apply(self, weights, gradients, *, stacked=False):
        """Move `weights` (a dict, changed in place) by one step.

        Raises:
            ValueError: names or shapes of the two dicts differ; nothing has moved then.
        """
        shapes = {name: g.shape for name, g in gradients.items()}
        expected = {name: w.shape for name, w in weights.items()}
        if shapes != expected:
            raise ValueError(f"gradients has {shapes}; expected {expected}")
        if self.global_clipnorm is not None:
            gradients, _ = clip_by_global_norm(
                gradients, self.global_clipnorm, stacked=stacked
            )
        self.iterations += 1
        if not self.slots:
            self.make_slots(weights)
        for name, w in weights.items():
            if self.weight_decay:
                w *= 1 - self.learning_rate * self.weight_decay
            self._move(w, gradients[name], *self.slots[name])

    def make_slots(self, weights):
        """Begin anew for `weights`: all slots at zero."""
        self.slots = {
            name: [np.zeros_like(w) for _ in range(self.slots_per_weight)]
            for name, w in weights.items()
        }

    def _move(self, w, g, *slots):
        raise NotImplementedError


class SGD(Optimizer):
    """w ← w + m, with m ← momentum · m − learning_rate · g.

    Arguments: `momentum`, and those of `Optimizer`.
    """

    slots_per_weight = 1

    def __init__(self, learning_rate=0.01, momentum=0.0, **options):
        super().__init__(learning_rate, **options)
        self.momentum = check_between("momentum", momentum, 0, 1)

    def _move(self, w, g, m):
        m *= self.momentum
        m -= self.learning_rate * g
        w += m


class Adam(Optimizer):
    """Adam: running means of g and g², corrected for their start at zero.

    Arguments: `beta_1`, `beta_2`, `epsilon`, and those of `Optimizer`.

    Source: Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015,
    arXiv:1412.6980; epsilon stands where Keras puts it (the paper's "ε hat").
    """

    slots_per_weight = 2

    def __init__(
        self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, **options
    ):
        super().__init__(learning_rate, **options)
        self.beta_1 = check_between("beta_1", beta_1, 0, 1)
        self.beta_2 = check_between("beta_2", beta_2, 0, 1)
        self.epsilon = check_between("epsilon", epsilon, 0, np.inf)

    def _move(self, w, g, m, v):
        t = self.iterations
        m += (g - m) * (1 - self.beta_1)
        v += (g**2 - v) * (1 - self.beta_2)
        step = self.learning_rate * np.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        # A Python float keeps float32 weights float32; a NumPy float64 would not.
        w -= float(step) * m / (np.sqrt(v) + self.epsilon)


OPTIMIZERS = {"sgd": SGD, "adam": Adam}
