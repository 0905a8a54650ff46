"""The same search for every network: a learning rate for each budget, never at an end.

A comparison in which one rival is tuned and the other is not says little. `tune` treats
all alike: it trains a few networks at each of several learning rates, adds further
rates while the best one is the smallest or the largest tried, and only then trains the
networks that are measured.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from unrolled.types import Array

RATES = (0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
FIRST = RATES[3:6]  # a search begins with these

# Learning rates and seeds, one per network, budgets, and 0 or 1 for held-out or test
# data -> scores on it, (budgets, networks).
Train = Callable[[Array, list[int], list[int], int], Array]


@dataclass(frozen=True)
class Tuned:
    """What `tune` found, for each budget.

    Attributes:
        tried: the rates of the search, rising.
        held: mean scores of the search on held-out data, `(budgets, rates)`.
        rates: the best rate of each budget.
        inside: whether it lies between others that were tried, `(budgets,)`.
        scores: scores of fresh networks on test data, `(budgets, networks)`, with
            further axes if `train` returns them.
    """

    tried: list[float]
    held: Array
    rates: list[float]
    inside: Array
    scores: Array


def tune(
    train: Train,
    budgets: Sequence[int],
    *,
    trials: Sequence[int],
    networks: Sequence[int],
    first: Sequence[float] = FIRST,
) -> Tuned:
    """Search a learning rate for each budget; then train fresh networks with it.

    The search begins with the rates `first` and goes on, as far as `RATES` reaches,
    while a best rate is the smallest or the largest tried.

    Args:
        train: a function of rates and seeds, one per network, of rising budgets, and
            of 0 for held-out or 1 for test data. It returns the scores on that data,
            `(budgets, networks)`; higher is better. Scores on test data may have
            further axes, such as one for several measures.
        budgets: how long to train, rising, in the unit of `train`.
        trials: seeds of the search, which trains one network for each at every rate.
        networks: seeds of the networks that are measured on test data.
        first: neighbours in `RATES`.

    Returns:
        `Tuned`. Networks that share a rate at several budgets are trained once.

    Raises:
        ValueError: no budgets, no seeds, or seeds that are in both lists.
    """
    budgets, trials, networks = list(budgets), list(trials), list(networks)
    if not (budgets and trials and networks) or set(trials) & set(networks):
        raise ValueError(
            f"budgets {budgets}, trials {trials}, networks {networks}; expected some "
            "of each, and no seed that is both a trial and a network"
        )
    held: dict[float, Array] = {}
    new = list(first)
    while new:
        scored = train(np.repeat(new, len(trials)), trials * len(new), budgets, 0)
        means = np.reshape(scored, (len(budgets), len(new), len(trials))).mean(axis=2)
        held |= dict(zip(new, np.nan_to_num(means.T, nan=-np.inf), strict=True))
        tried = sorted(held)
        best = [
            place_of_best([held[rate][b] for rate in tried])
            for b in range(len(budgets))
        ]
        new = rates_beyond(tried, best)

    rates = [tried[k] for k in best]
    scores: list[Array] = [np.empty(0)] * len(budgets)
    for rate in set(rates):
        chosen = [b for b, r in enumerate(rates) if r == rate]
        on_test = train(
            np.full(len(networks), rate), networks, budgets[: chosen[-1] + 1], 1
        )
        for b in chosen:
            scores[b] = on_test[b]
    return Tuned(
        tried=tried,
        held=np.stack([held[rate] for rate in tried], axis=1),
        rates=rates,
        inside=np.array([0 < k < len(tried) - 1 for k in best]),
        scores=np.stack(scores),
    )


def place_of_best(means: Sequence[float]) -> int:
    """Return the place of the largest; of equal ones, the one nearest the middle."""
    last = len(means) - 1
    return max(range(len(means)), key=lambda k: (means[k], min(k, last - k)))


def rates_beyond(tried: Sequence[float], best: Sequence[int]) -> list[float]:
    """Return the next rates on each side where a best rate is the last one tried."""
    low, high = RATES.index(tried[0]), RATES.index(tried[-1])
    new = []
    if 0 in best and low > 0:
        new.append(RATES[low - 1])
    if len(tried) - 1 in best and high < len(RATES) - 1:
        new.append(RATES[high + 1])
    return new
