"""What every layer shares: weights by name, random generators, one network or several.

A layer holds a single network or an *ensemble*: several networks that are trained side
by side. With `seed=[0, 1, 2]` every weight has a leading axis of length 3, and network
k is the one that `seed=k` alone would give.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from unrolled.checks import (
    check_array,
    check_dtype,
    check_integer,
    check_sequences,
    count_parts,
)
from unrolled.generators import make_generators
from unrolled.types import Array, Arrays, Seed, States
from unrolled.undo import undo_on_failure


class Layer:
    """Weights with Keras's names and order, and the generators that draw them.

    Args:
        seed: an integer, or a sequence of integers for an ensemble: one per network.
        dtype: "float32" to train, "float64" to check gradients.

    Attributes:
        networks: the size of the ensemble; None for a single network.
        rngs: the random generators, one per network.
        features: length of the input's last axis; None before `build`.
        output_features: length of the output's last axis; some layers know it only
            after `build`.
        state_names: names of the states that are carried from step to step.
        along_time: whether an output depends on several steps, so that the last one can
            stand for the sequence; `Dense` and `Dropout` take each step by itself.
    """

    state_names: tuple[str, ...] = ()
    along_time: bool = False
    output_features: int

    def __init__(self, seed: Seed = 0, dtype: npt.DTypeLike = "float32") -> None:
        self.dtype = check_dtype(dtype)
        self.rngs, self.networks = make_generators(seed)
        self.features: int | None = None
        self._weights: Arrays = {}
        self._run: Any = None  # what the last forward pass left for backward

    @property
    def weights(self) -> Arrays:
        """The weights by name. Changing one of these arrays in place changes the layer.

        They are the layer's own arrays; `get_weights` returns copies.
        """
        return self._weights

    @property
    def built(self) -> bool:
        """Whether the number of features is known, so that the weights exist."""
        return self.features is not None

    def build(self, features: int) -> None:
        """Draw the weights. Otherwise the first call of `forward` does.

        If that fails or is interrupted, the layer is as it was before.

        Args:
            features: length of the input's last axis.

        Raises:
            ValueError: the layer is built already, or `features` is not an integer
                >= 1.
        """
        if self.built:
            raise ValueError(
                f"{type(self).__name__} is built for {self.features} features already"
            )
        features = check_integer("features", features, 1)
        with undo_on_failure(objects=self._all_layers()):
            self._build(features)

    def _build(self, features: int) -> None:
        """Do what `build` says; it may leave things half done if it fails."""
        self.features = features
        self._weights = {
            name: self._draw(name, shape, initializer)
            for name, (shape, initializer) in self._specification().items()
        }

    def _all_layers(self) -> "list[Layer]":
        """Return this layer and all that it is made of, at any depth."""
        return [self]

    def use_generators(
        self, rngs: list[np.random.Generator], networks: int | None
    ) -> None:
        """Draw from these generators from now on, so that several layers share them.

        Args:
            rngs: one generator per network.
            networks: the size of the ensemble; None for a single network.

        Raises:
            ValueError: the layer is built for another number of networks.
        """
        if self.built and networks != self.networks:
            raise ValueError(
                f"{type(self).__name__} is built for {_count(self.networks)}; "
                f"expected {_count(networks)}, as seed says"
            )
        self.rngs, self.networks = rngs, networks

    def forward(
        self,
        x: npt.ArrayLike,
        initial_state: States | None = None,
        *,
        return_sequences: bool = True,
        training: bool = False,
    ) -> tuple[Array, States]:
        """Run the layer; see `Recurrent.forward`."""
        raise NotImplementedError

    def backward(
        self,
        dout: Array | None,
        dstate: States | None = None,
        *,
        truncate: int | None = None,
        input_gradient: bool = True,
    ) -> tuple[Array | None, States, Arrays]:
        """Compute the gradients; see `Recurrent.backward`."""
        raise NotImplementedError

    def _specification(self):
        """Shape and initialiser of each weight by name, in Keras's order."""
        return {}

    def _draw(self, name, shape, initializer):
        """Draw one weight for each network."""

        def draw(rng):
            drawn = initializer(shape, rng)
            return check_array(f"initial {name}", drawn, shape, self.dtype)

        # A copy, because the initialiser may keep what it returns.
        return np.array(self.each_network(draw), order="C")

    @property
    def _leading_shape(self) -> tuple[int, ...]:
        """`(networks,)`, the leading axis of an ensemble; `()` for a single network."""
        return () if self.networks is None else (self.networks,)

    def each_network(self, draw: Callable[[np.random.Generator], Array]) -> Array:
        """Call `draw` with each network's generator.

        Args:
            draw: function of a generator, to an array.

        Returns:
            the array; for an ensemble those of all networks, `(networks, …)`.
        """
        drawn = [draw(rng) for rng in self.rngs]
        return drawn[0] if self.networks is None else np.stack(drawn)

    def check_input(self, x: npt.ArrayLike) -> Array:
        """Return `x` as an array `(batch, time, features)`; the first call builds.

        In an ensemble each network may have its own input: then `x` has the shape
        `(networks, batch, time, features)`.

        Raises:
            ValueError: another shape, an empty axis, NaN, or not numbers.
        """
        x = check_sequences("x", x, self.features, self.networks, self.dtype)
        if not self.built:
            self.build(x.shape[-1])
        return x

    def check_entries(self, x: npt.ArrayLike) -> Array:
        """Do as `check_input`, for layers that take `(batch, …, features)`.

        Raises:
            ValueError: another shape, an empty axis, NaN, or not numbers.
        """
        x = check_array("x", x, (..., self.features or "features"), self.dtype)
        leading = self._leading_shape
        if x.ndim < 2 + len(leading) or x.shape[: len(leading)] != leading:
            raise ValueError(
                f"x has shape {x.shape}; expected "
                f"({''.join(f'{n}, ' for n in leading)}batch, …, features)"
            )
        if not self.built:
            self.build(x.shape[-1])
        return x

    def _last_run(self):
        if self._run is None:
            raise ValueError("the layer has not run yet; call forward(x) first")
        return self._run

    def _reset(self) -> None:
        """Reset to the unbuilt state."""
        self.features, self._weights, self._run = None, {}, None

    def get_weights(self) -> list[Array]:
        """Return copies of the weights, in Keras's order."""
        return [weight.copy() for weight in self.weights.values()]

    def set_weights(self, weights: Sequence[npt.ArrayLike]) -> None:
        """Set all weights, or none if one of them does not fit.

        Args:
            weights: arrays in Keras's order, as `get_weights` returns them.

        Raises:
            ValueError: the layer is not built, or an array is missing, has another
                shape or holds NaN.
        """
        assign(self.weights, weights)

    def count_params(self) -> int:
        """Return the number of trainable parameters of one network.

        Raises:
            ValueError: the layer is not built.
        """
        if not self.built:
            raise ValueError("there are no weights yet; call build(features) first")
        return sum(w.size for w in self.weights.values()) // (self.networks or 1)

    def astype(self, dtype: npt.DTypeLike) -> Self:
        """Return a copy of the layer whose weights are float32 or float64."""
        other = copy.deepcopy(self)
        other._cast(check_dtype(dtype))
        return other

    def _cast(self, dtype: np.dtype[Any]) -> None:
        """Convert the weights of this very layer."""
        self.dtype = dtype
        self._run = None  # what it left has another dtype
        self._weights = {k: w.astype(dtype) for k, w in self._weights.items()}


def _count(networks: int | None) -> str:
    return "a single network" if networks is None else f"an ensemble of {networks}"


def assign(weights: Arrays, new: Sequence[npt.ArrayLike]) -> None:
    """Copy new values into `weights`: all of them, or none.

    Args:
        weights: arrays by name, changed in place.
        new: an array for each, in the same order.

    Raises:
        ValueError: another number of arrays, another shape, or NaN.
    """
    if not weights:
        raise ValueError("there are no weights yet; call build(features) first")
    names = ", ".join(weights)
    if isinstance(new, Mapping) or count_parts(new) is None:
        raise ValueError(
            f"weights is {type(new).__name__}; expected a list of {len(weights)} "
            f"arrays: {names}"
        )
    if len(new) != len(weights):
        raise ValueError(
            f"weights has {len(new)} arrays; expected {len(weights)}: {names}"
        )
    checked = [
        check_array(f"weights[{k}] ({name})", value, old.shape, old.dtype)
        for k, (value, (name, old)) in enumerate(zip(new, weights.items(), strict=True))
    ]
    with undo_on_failure(weights.values()):
        for old, value in zip(weights.values(), checked, strict=True):
            old[...] = value
