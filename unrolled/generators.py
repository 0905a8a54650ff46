"""Random generators: one per network, and a way to put them back."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from unrolled.checks import check_integer
from unrolled.types import Seed


def make_generators(seed: Seed) -> tuple[list[np.random.Generator], int | None]:
    """Make one generator per network.

    Args:
        seed: an integer for a single network, or a sequence of integers for an
            ensemble. Generators are taken as they are; a `SeedSequence` or a
            `BitGenerator` does for an integer.

    Returns:
        `(rngs, networks)`: the list of generators, and the size of the ensemble; None
        for a single network.

    Raises:
        ValueError: a seed is not an integer >= 0, the sequence is empty, or two
            networks would draw from the same generator.
    """
    one = isinstance(seed, np.ndarray) and seed.ndim == 0
    if one or not isinstance(seed, (list, tuple, range, np.ndarray)):
        return [_make_generator(seed)], None
    if len(seed) == 0:
        raise ValueError("seed is an empty list; expected at least one seed")
    rngs = [_make_generator(one) for one in seed]
    if len({id(rng.bit_generator) for rng in rngs}) < len(rngs):
        raise ValueError(
            "seed has the same generator twice; expected one for each network, such as "
            "rng.spawn(2)"
        )
    return rngs, len(seed)


def get_states(rngs: Sequence[np.random.Generator]) -> list[Any]:
    """Return the states of the generators, for `set_states`."""
    return [rng.bit_generator.state for rng in rngs]


def set_states(rngs: Sequence[np.random.Generator], states: Sequence[Any]) -> None:
    """Put the generators back to where they were at `get_states`.

    Raises:
        ValueError: there are more or fewer states than generators.
    """
    for rng, state in zip(rngs, states, strict=True):
        rng.bit_generator.state = state


def _make_generator(seed: Any) -> np.random.Generator:
    if isinstance(seed, np.random.Generator):
        return seed
    if isinstance(seed, (np.random.SeedSequence, np.random.BitGenerator)):
        return np.random.default_rng(seed)
    return np.random.default_rng(check_integer("seed", seed, 0))
