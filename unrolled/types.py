"""Short names for the types in this package's signatures.

NumPy's types say nothing about shapes, so every docstring gives them.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

#: An array of numbers.
Array = npt.NDArray[Any]

#: Arrays by name, such as the weights of a layer or their gradients.
Arrays = dict[str, Array]

#: One array for each of a layer's states, in the order of `state_names`.
States = tuple[Array, ...]

#: One number; for an ensemble, an array `(networks,)`.
PerNetwork = float | Array

#: An integer, or what NumPy has for it.
OneSeed = int | np.random.Generator | np.random.SeedSequence | np.random.BitGenerator

#: One seed; for an ensemble, one per network.
Seed = OneSeed | Sequence[OneSeed] | Array

#: The name of an initialiser, or a function of a shape and a random generator.
Initializer = str | Callable[[tuple[int, ...], np.random.Generator], npt.ArrayLike]
