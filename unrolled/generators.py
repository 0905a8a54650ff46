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
            ensemble. Generators are taken as they are.

    Returns:
        `(rngs, networks)`: the list of generators, and the size of the ensemble; None
        for a single network.

    Raises:
        ValueError: a seed is not an integer >= 0, or the sequence is empty.
    """
    if not isinstance(seed, (list, tuple, range, np.ndarray)):
        return [_make_generator(seed)], None
    if len(seed) == 0:
        raise ValueError("seed is an empty list; expected at least one seed")
    return [_make_generator(one) for one in seed], len(seed)


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
    return np.random.default_rng(check_integer("seed", seed, 0))
