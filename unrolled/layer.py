"""What every layer shares: weights by name, random generators, one network or a stack.

A layer holds one network, or several that learn side by side: with `seed=[0, 1, 2]`
every weight has a leading axis of 3, and network k is the one that `seed=k` alone would
give.
"""

import copy

import numpy as np

from unrolled.checks import check_array, check_dtype, check_whole, count_axes


class Layer:
    """Weights that Keras would call the same, and the seeds that they come from.

    Args:
        seed: a whole number, or a list of them: one network for each.
        dtype: "float32" to train, "float64" to check.

    Attributes:
        networks: how many networks are stacked, or None for a single one.
        features: length of the input's last axis; None before `build`.
    """

    #: Names of the states that are carried from step to step; none for most layers.
    state_names = ()

    def __init__(self, seed=0, dtype="float32"):
        self.dtype = check_dtype(dtype)
        self.rngs, self.networks = generators(seed)
        self._weights = {}
        self.features = None
        self._run = None  # what the last forward left for backward

    @property
    def weights(self):
        """Name → array, the layer's own: to change an array in place is to train."""
        return self._weights

    @property
    def built(self):
        """Whether the number of features is known, and so the weights exist."""
        return self.features is not None

    def build(self, features, rngs=None):
        """Draw the weights for inputs of so many features; once only.

        Args:
            features: length of the input's last axis.
            rngs: the generators to draw from, one a network; the layer's own if None.
        """
        if self.built:
            raise ValueError(
                f"{type(self).__name__} is built for {self.features} features already"
            )
        features = check_whole("features", features, 1)
        if rngs is not None:
            self.use_generators(rngs)
        self.features = features
        self._weights = {
            name: self._draw(shape, draw)
            for name, (shape, draw) in self._specification().items()
        }

    def use_generators(self, rngs):
        """Draw from `rngs` from now on: what belongs together shares its generators.

        Raises:
            ValueError: generators for another number of networks than the layer has.
        """
        networks = len(rngs) if isinstance(rngs, list) else None
        if self.built and networks != self.networks:
            raise ValueError(
                f"{type(self).__name__} is built for networks: {self.networks}; "
                f"networks: {networks}, as many as seeds"
            )
        self.rngs, self.networks = rngs, networks

    def _specification(self):
        """Name → (shape, initialiser) of every weight, in Keras's order."""
        return {}

    def _draw(self, shape, draw):
        """`draw(shape, rng)` for the network, or for each of the stack, as an array."""
        drawn = self.each_network(lambda rng: np.asarray(draw(shape, rng)))
        if drawn.shape != (*self._front, *shape):
            got = drawn.shape[len(self._front) :]
            raise ValueError(f"an initialiser gave {got}; expected {shape}")
        return np.array(drawn, dtype=self.dtype, order="C")

    @property
    def _front(self):
        """Shape of the axis of a stack of networks: () for a single one."""
        return () if self.networks is None else (self.networks,)

    def each_network(self, draw):
        """`draw(rng)`; for a stack, what it gives for each network's generator."""
        if self.networks is None:
            return draw(self.rngs)
        return np.stack([draw(rng) for rng in self.rngs])

    def check_input(self, x):
        """`x` as `(batch, time, features)` ; builds at the first call.

        A stack of networks may have an x for each: one axis more, in front.

        Raises:
            ValueError: another shape, an empty axis, NaN, or not numbers.
        """
        stacked = self.networks is not None and count_axes(x) == 4
        shape = ("batch", "time", self.features or "features")
        if stacked:
            shape = (self.networks, *shape)
        x = check_array("x", x, shape, self.dtype)
        if not self.built:
            self.build(x.shape[-1])
        return x

    def check_entries(self, x):
        """As `check_input`, for layers that take `(batch, …, features)`."""
        x = check_array("x", x, (..., self.features or "features"), self.dtype)
        front = self._front
        if x.ndim < 2 + len(front) or x.shape[: len(front)] != front:
            raise ValueError(
                f"x has shape {x.shape}; expected "
                f"({''.join(f'{n}, ' for n in front)}batch, …, features)"
            )
        if not self.built:
            self.build(x.shape[-1])
        return x

    def _last_run(self):
        if self._run is None:
            raise ValueError("the layer has not run yet; call forward(x) first")
        return self._run

    def _forget(self):
        """Be as new: without weights."""
        self.features, self._weights, self._run = None, {}, None

    def get_weights(self):
        """Copies of the weights, in Keras's order."""
        return [weight.copy() for weight in self.weights.values()]

    def set_weights(self, weights):
        """Take over `weights`, in Keras's order; all of them, or none.

        Raises:
            ValueError: not built, another number of arrays, or another shape.
        """
        take_over(self.weights, weights)

    def count_params(self):
        """Number of trained numbers in one network."""
        return sum(w.size for w in self.weights.values()) // (self.networks or 1)

    def astype(self, dtype):
        """A copy of the layer whose weights are float32 or float64."""
        other = copy.deepcopy(self)
        other._cast(check_dtype(dtype))
        return other

    def _cast(self, dtype):
        self.dtype = dtype
        self._weights = {k: w.astype(dtype) for k, w in self._weights.items()}


def generators(seed):
    """`(rng, None)` for one seed, `([rng, …], how many)` for a list of seeds.

    Raises:
        ValueError: a seed that is no whole number >= 0, or an empty list.
    """
    if isinstance(seed, np.random.Generator):
        return seed, None
    if isinstance(seed, (list, tuple, range, np.ndarray)):
        if len(seed) == 0:
            raise ValueError("seed is an empty list; expected at least one seed")
        return [generators(one)[0] for one in seed], len(seed)
    return np.random.default_rng(check_whole("seed", seed, 0)), None


def list_generators(rngs):
    """The generators of a layer or model as a list, one network or several."""
    return rngs if isinstance(rngs, list) else [rngs]


def take_over(own, weights):
    """Copy `weights`, a list, into the arrays of the dict `own`: all of them, or none.

    Raises:
        ValueError: another number of arrays, another shape, or NaN.
    """
    if not own:
        raise ValueError("there are no weights yet; call build(features) first")
    if len(weights) != len(own):
        raise ValueError(
            f"weights has {len(weights)} arrays; expected {len(own)}: {', '.join(own)}"
        )
    new = [
        check_array(f"weights[{k}] ({name})", weight, old.shape, old.dtype)
        for k, (weight, (name, old)) in enumerate(
            zip(weights, own.items(), strict=True)
        )
    ]
    for old, weight in zip(own.values(), new, strict=True):
        old[...] = weight
