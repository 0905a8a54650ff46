"""What `SequenceModel.fit` works with: batches, means, a history, a progress bar."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

from unrolled.types import Array, PerNetwork

_threads = ThreadpoolController()
_Function = TypeVar("_Function", bound=Callable)


def one_thread(function: _Function) -> _Function:
    """Make `function` multiply matrices in a single thread.

    The products of one step are so small that a second thread gains little on an idle
    machine and loses much on a busy one, where threads wait for each other. A single
    thread also gives the same bits however many cores a machine has.
    """
    return _threads.wrap(limits=1, user_api="blas")(function)


@dataclasses.dataclass
class History:
    """What `fit` returns, as in Keras.

    Attributes:
        history: for "loss" and the other names, one value per epoch: a float, or an
            array `(networks,)` for an ensemble.
    """

    history: dict[str, list[PerNetwork]] = dataclasses.field(default_factory=dict)

    @property
    def epoch(self) -> list[int]:
        """The numbers of the epochs, from 0."""
        return list(range(len(next(iter(self.history.values()), []))))

    def add(self, values: dict[str, PerNetwork]) -> None:
        """Append the values of one epoch."""
        # In one assignment: Ctrl-C leaves whole epochs.
        self.history = {
            name: [*self.history.get(name, []), value]
            for name, value in as_results(values).items()
        }


def as_results(values: dict[str, PerNetwork]) -> dict[str, PerNetwork]:
    """Return numbers as Python's floats, which `json` can write, arrays as they are."""
    return {k: float(v) if np.ndim(v) == 0 else v for k, v in values.items()}


class Data:
    """Sequences, usually with their targets, to be cut into batches.

    Args:
        arrays: x `(n, time, features)`, and others whose first axis is `n` too. Where
            each network of an ensemble has its own data, all have the networks as one
            axis more, in front.
    """

    def __init__(self, *arrays: Array) -> None:
        self.arrays = arrays
        self._one_per_network = arrays[0].ndim == 4

    def __len__(self) -> int:
        """Return the number of sequences."""
        return self.arrays[0].shape[-3]

    def take(self, rows: slice | Array) -> tuple[Array, ...]:
        """Return some of the sequences, of every array.

        Args:
            rows: a slice; or the numbers of the sequences, `(batch,)`, or
                `(networks, batch)` if they differ between the networks.
        """
        if not self._one_per_network:
            return tuple(a[rows] for a in self.arrays)
        if isinstance(rows, slice):
            return tuple(a[:, rows] for a in self.arrays)
        network = np.arange(len(rows))[:, None]
        return tuple(a[network, rows] for a in self.arrays)

    def batches(
        self, batch_size: int, order: Array | None = None
    ) -> Iterator[tuple[Array, ...]]:
        """Yield the sequences batch by batch; the last batch may be smaller.

        Args:
            batch_size: sequences per batch.
            order: a permutation of the sequences, `(n,)`, or one per network,
                `(networks, n)`; None keeps them as they are.
        """
        for k in range(0, len(self), batch_size):
            rows = slice(k, k + batch_size)
            yield self.take(rows if order is None else order[..., rows])

    def pieces(self, steps: int) -> Iterator[tuple[Array, ...]]:
        """Yield all sequences `steps` steps at a time; the last piece may be shorter.

        Args:
            steps: steps per piece. Every array needs one entry per step.
        """
        time = self.arrays[0].ndim - 2
        for k in range(0, self.arrays[0].shape[time], steps):
            piece = (*[slice(None)] * time, slice(k, k + steps))
            yield tuple(a[piece] for a in self.arrays)

    def split(self, share: float) -> tuple["Data", "Data"]:
        """Cut off the last `share` of the sequences.

        Returns:
            what is left, and what was cut off.

        Raises:
            ValueError: one of the two would be empty.
        """
        n = int(len(self) * (1 - share))
        if not 0 < n < len(self):
            raise ValueError(
                f"validation_split is {share}; expected some of the {len(self)} "
                "sequences on either side of the split"
            )
        return Data(*self.take(slice(n))), Data(*self.take(slice(n, None)))


class Means:
    """Means over all sequences, of values that come batch by batch."""

    def __init__(self) -> None:
        self._sums: dict[str, PerNetwork] = {}
        self._count = 0

    def add(self, values: dict[str, PerNetwork], count: int) -> None:
        """Add the means over one batch of `count` sequences."""
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0) + count * value
        self._count += count

    def values(self) -> dict[str, PerNetwork]:
        """Return the means by name."""
        return {name: total / self._count for name, total in self._sums.items()}


def progress_bar(steps: int, verbose: int | str) -> Any:
    """Return tqdm's bar; it appears after two seconds and leaves nothing behind."""
    from tqdm import tqdm  # here, so that `import unrolled` stays fast

    return tqdm(total=steps, disable=verbose not in (1, "auto"), delay=2, leave=False)
