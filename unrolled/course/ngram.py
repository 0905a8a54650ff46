"""The rival that counts: an interpolated n-gram model of symbols, by Kneser and Ney."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Self

import numpy as np
import numpy.typing as npt

from unrolled.checks import check_array, check_generator, check_integer, check_labels
from unrolled.generation import sample
from unrolled.types import Array

# Values that `tune` tries for a discount.
DISCOUNTS = np.linspace(0.04, 1.0, 13)


class NGram:
    """Predicts a symbol from the ones just before it, by counts in a text.

    The prediction of order k, which looks at the k − 1 symbols before, takes a discount
    D from every count and spreads what it took as order k − 1 predicts::

        p_k(w | context) = (max(n(context w) − D, 0) + D · T · p_{k−1}(w | shorter)) / N

    with N the sum of the counts of the context, and T the number of symbols that were
    seen after it. Below order 1 all symbols are equally probable. A context that was
    never seen leaves the prediction to the order below. The counts n are those of the
    text for the highest order; below it, n counts in how many *different* contexts, one
    symbol longer, w was seen (Kneser and Ney's idea).

    Args:
        symbols: the text, integers `(n,)`.
        size: how many symbols there are.
        order: how many symbols are looked at, the predicted one included.
        discounts: one for each order, `(order,)`, or one for all, from 0 to 1.

    Attributes:
        discounts: `(order,)`, from order 1 upwards.

    Raises:
        ValueError: symbols that are not of the alphabet, an order that the text is too
            short for or whose n-grams do not fit into 64 bits, or a discount out of
            range.

    Example:
        >>> import numpy as np
        >>> from unrolled.course.ngram import NGram
        >>> text = np.array([0, 1, 0, 1, 0, 2])
        >>> NGram(text, size=3, order=1, discounts=0.0).next([[0]]).round(3)
        array([[0.5  , 0.333, 0.167]])
        >>> NGram(text, size=3, order=2, discounts=0.0).next([[0]]).round(3)
        array([[0.   , 0.667, 0.333]])

    References:
        Kneser & Ney, "Improved backing-off for m-gram language modeling", ICASSP 1995;
        interpolated as in Chen & Goodman, "An empirical study of smoothing techniques
        for language modeling", Computer Speech & Language 13 (1999).
    """

    def __init__(
        self,
        symbols: npt.ArrayLike,
        size: int,
        order: int,
        discounts: float | Sequence[float] | Array = 0.75,
    ) -> None:
        self.size = check_integer("size", size, 1)
        self.order = check_integer("order", order, 1)
        if self.size**self.order > np.iinfo(np.int64).max:
            raise ValueError(
                f"order is {order} with {size} symbols; expected at most size**order "
                "n-grams that 64 bits can number"
            )
        text = self._read("symbols", symbols, 1)
        if len(text) < self.order:
            raise ValueError(
                f"symbols has {len(text)} of them; expected {order} or more, the order"
            )
        self.set_discounts(discounts)
        self._tables = self._count(text)

    def set_discounts(self, discounts: float | Sequence[float] | Array) -> None:
        """Set the discounts: one for each order, or one for all.

        Raises:
            ValueError: other numbers than from 0 to 1, or as many as no order has.
        """
        values = check_array("discounts", discounts, (...,), "float64")
        if values.ndim and values.shape != (self.order,):
            raise ValueError(
                f"discounts has shape {values.shape}; expected ({self.order},)"
            )
        if values.min() < 0 or values.max() > 1:
            raise ValueError(f"discounts is {discounts}; expected numbers from 0 to 1")
        self.discounts: Array = np.broadcast_to(values, self.order).copy()

    def probabilities(self, symbols: npt.ArrayLike) -> Array:
        """Return the probability of each symbol, given all before it: `(n,)`.

        The first symbols have short contexts, or none.

        Raises:
            ValueError: symbols that are not of the alphabet.
        """
        return self._mix(self._look_up(self._read("symbols", symbols, 1)))

    def next(self, contexts: npt.ArrayLike) -> Array:
        """Return what may come next after each context.

        Args:
            contexts: integers `(n, symbols before)`.

        Returns:
            probabilities `(n, size)`.

        Raises:
            ValueError: symbols that are not of the alphabet.
        """
        before = self._read("contexts", contexts, 2)
        p = np.full((len(before), self.size), 1 / self.size)
        for k in range(1, min(self.order, before.shape[1] + 1) + 1):
            context = self._number(before[:, before.shape[1] - k + 1 :])[:, None]
            counts = self._find(k, context * self.size + np.arange(self.size), context)
            p = _refine(p, *counts, self.discounts[k - 1])
        return p

    def tune(self, symbols: npt.ArrayLike) -> Self:
        """Choose the discounts that predict another text best, one after the other.

        Args:
            symbols: a text that the counts do not come from, integers `(n,)`.

        Returns:
            the model itself.

        Raises:
            ValueError: symbols that are not of the alphabet.
        """
        counts = self._look_up(self._read("symbols", symbols, 1))
        for _ in range(2):
            for k in range(self.order):
                losses = []
                for discount in DISCOUNTS:
                    self.discounts[k] = discount
                    p = self._mix(counts)
                    losses.append(-np.log(np.maximum(p, 1e-300)).mean())
                self.discounts[k] = DISCOUNTS[np.argmin(losses)]
        return self

    def write(
        self,
        start: npt.ArrayLike,
        n: int,
        rng: np.random.Generator | None,
        temperature: float = 1.0,
    ) -> Array:
        """Go on from a beginning, symbol by symbol; see `unrolled.generate`.

        Args:
            start: the beginning, integers `(batch, symbols)`.
            n: how many symbols to write.
            rng: draws them.
            temperature: see `unrolled.sample`.

        Returns:
            the symbols written, integers `(batch, n)`.

        Raises:
            ValueError: symbols that are not of the alphabet, or a number out of range.
        """
        start = self._read("start", start, 2)
        n = check_integer("n", n, 1)
        if rng is not None:
            check_generator("rng", rng)
        text = np.concatenate([start, np.zeros((len(start), n), np.int64)], axis=1)
        for t in range(start.shape[1], text.shape[1]):
            p = self.next(text[:, max(0, t - max(1, self.order - 1)) : t])
            with np.errstate(divide="ignore"):  # what has no discount may be impossible
                text[:, t] = sample(np.log(p), rng, temperature)
        return text[:, start.shape[1] :]

    def seen(self, k: int) -> tuple[Array, Array]:
        """Return the different sequences of k symbols in the text, and how often each.

        Those among the last symbols of the text that are the beginning of no sequence
        of the model's order are left out.

        Args:
            k: from 1 to the order.

        Returns:
            `(sequences, counts)`: integers `(n, k)`, sorted, and `(n,)`.

        Raises:
            ValueError: k is out of range.

        Example:
            >>> import numpy as np
            >>> from unrolled.course.ngram import NGram
            >>> sequences, counts = NGram(np.array([0, 1, 0, 1, 0, 2]), 3, 2).seen(2)
            >>> sequences.tolist(), counts.tolist()
            ([[0, 1], [0, 2], [1, 0]], [2, 1, 2])
        """
        if check_integer("k", k, 1) > self.order:
            raise ValueError(f"k is {k}; expected at most {self.order}, the order")
        grams, counts = self._tables[-1][:2]
        # They rise, so that those with the same beginning stand together.
        shorter, first = np.unique(
            grams // self.size ** (self.order - k), return_index=True
        )
        places = self.size ** np.arange(k - 1, -1, -1)
        return shorter[:, None] // places % self.size, np.add.reduceat(counts, first)

    def _read(self, name: str, symbols: npt.ArrayLike, axes: int) -> Array:
        symbols = check_labels(name, symbols, self.size)
        if symbols.ndim != axes:
            wanted = "(n,)" if axes == 1 else "(n, symbols)"
            raise ValueError(f"{name} has shape {symbols.shape}; expected {wanted}")
        return symbols

    def _number(self, symbols: Array) -> Array:
        """Return one number for each row of symbols, `(…, k)` → `(…)`."""
        number = np.zeros(symbols.shape[:-1], np.int64)
        for k in range(symbols.shape[-1]):
            number = number * self.size + symbols[..., k]
        return number

    def _count(self, text: Array) -> list[tuple[Array, Array, Array, Array, Array]]:
        """Make the table of each order.

        A table holds the n-grams seen, by number and rising, with their counts; and the
        contexts, likewise, with the sum of the counts after each (N) and how many
        symbols were seen there (T).
        """
        windows = np.lib.stride_tricks.sliding_window_view
        seen = [
            np.unique(self._number(windows(text, k)), return_counts=True)
            for k in range(1, self.order + 1)
        ]
        # Below the highest order: how many symbols were seen before this n-gram.
        for k, (_, longer) in enumerate(pairwise(seen), start=1):
            seen[k - 1] = np.unique(longer[0] % self.size**k, return_counts=True)
        tables: list[tuple[Array, Array, Array, Array, Array]] = []
        for grams, counts in seen:
            contexts, first = np.unique(grams // self.size, return_index=True)
            totals = np.add.reduceat(counts, first)
            tables.append((
                grams,
                counts,
                contexts,
                totals,
                np.diff(first, append=len(grams)),
            ))
        return tables

    def _find(self, k: int, gram: Array, context: Array) -> tuple[Array, Array, Array]:
        """Return n, N and T of order k for numbered n-grams and their contexts."""
        grams, counts, contexts, totals, kinds = self._tables[k - 1]
        at, found = _search(grams, gram)
        n = np.where(found, counts[at], 0)
        at, found = _search(contexts, context)
        return n, np.where(found, totals[at], 0), np.where(found, kinds[at], 0)

    def _look_up(self, text: Array) -> list[tuple[Array, Array, Array]]:
        """Return n, N and T of each order for the symbols of a text, `(n,)` each."""
        found = []
        for k in range(1, min(self.order, len(text)) + 1):
            gram = self._number(np.lib.stride_tricks.sliding_window_view(text, k))
            counts = self._find(k, gram, gram // self.size)
            # The first symbols have no context of this length: as if never seen.
            n, N, T = (np.pad(c, (k - 1, 0)) for c in counts)
            found.append((n, N, T))
        return found

    def _mix(self, counts: list[tuple[Array, Array, Array]]) -> Array:
        p = np.full(len(counts[0][0]), 1 / self.size)
        for (n, N, T), discount in zip(counts, self.discounts, strict=False):
            p = _refine(p, n, N, T, discount)
        return p


def _refine(p: Array, n: Array, N: Array, T: Array, discount: float) -> Array:
    """Return the prediction of an order from p, that of the order below."""
    better = (np.maximum(n - discount, 0) + discount * T * p) / np.maximum(N, 1)
    return np.where(N > 0, better, p)


def _search(table: Array, values: Array) -> tuple[Array, Array]:
    """Return where each value stands in a rising table, and whether it does."""
    at = np.minimum(np.searchsorted(table, values), len(table) - 1)
    return at, table[at] == values
