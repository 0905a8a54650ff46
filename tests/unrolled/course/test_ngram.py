"""The rival that counts: a distribution, equal to counts by hand and to a slow twin."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from unrolled.course.ngram import NGram

RNG = np.random.default_rng(0)
TEXT = RNG.choice(5, size=400, p=[0.4, 0.3, 0.2, 0.1, 0.0])  # one symbol never comes
OTHER = RNG.integers(5, size=60)


class Slow:
    """The same model from dicts, one context after the other."""

    def __init__(self, text, size, order, discounts):
        self.size, self.order, self.discounts = size, order, discounts
        grams = {
            k: Counter(tuple(text[t : t + k]) for t in range(len(text) - k + 1))
            for k in range(1, order + 1)
        }
        self.after = {}
        for k in range(1, order + 1):
            counts = grams[k]
            if k < order:  # in how many contexts, one symbol longer
                counts = Counter(longer[1:] for longer in grams[k + 1])
            self.after[k] = defaultdict(dict)
            for gram, n in counts.items():
                self.after[k][gram[:-1]][gram[-1]] = n

    def p(self, symbol, context):
        p = 1 / self.size
        for k in range(1, min(self.order, len(context) + 1) + 1):
            seen = self.after[k].get(tuple(context[len(context) - k + 1 :]))
            if seen:
                d = self.discounts[k - 1]
                kept = max(seen.get(symbol, 0) - d, 0)
                p = (kept + d * len(seen) * p) / sum(seen.values())
        return p


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_predictions_sum_to_one(order):
    model = NGram(TEXT, 5, order, discounts=np.linspace(0, 1, order + 2)[1:-1])
    contexts = RNG.integers(5, size=(50, 7))
    p = model.next(contexts)
    assert p.shape == (50, 5) and np.allclose(p.sum(axis=1), 1)
    assert (p > 0).all()  # also for what was never seen


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_it_agrees_with_its_slow_twin(order):
    discounts = np.linspace(0.2, 0.9, order)
    model, slow = (kind(TEXT, 5, order, discounts) for kind in (NGram, Slow))
    expected = [slow.p(s, OTHER[:t].tolist()) for t, s in enumerate(OTHER)]
    assert np.allclose(model.probabilities(OTHER), expected)
    contexts = np.stack([OTHER[t : t + 6] for t in range(20)])
    table = [[slow.p(s, c.tolist()) for s in range(5)] for c in contexts]
    assert np.allclose(model.next(contexts), table)


def test_order_one_without_discount_counts_the_symbols():
    model = NGram(TEXT, 5, 1, discounts=0)
    frequencies = np.bincount(TEXT, minlength=5) / len(TEXT)
    assert np.allclose(model.next([[3], [0]]), frequencies)
    assert np.allclose(model.probabilities(OTHER), frequencies[OTHER])


def test_a_count_by_hand():
    """Of a b a b a c: after a, twice b and once c; b and c each came after a alone."""
    text = [0, 1, 0, 1, 0, 2]
    p = NGram(text, 3, 2, discounts=[0.0, 0.5]).next([[0], [1], [2]])
    # Order 1: a came after b; b and c after a: three contexts, one each.
    assert np.allclose(p[0], [1 / 3 / 3, 1.5 / 3 + 1 / 9, 0.5 / 3 + 1 / 9])
    assert np.allclose(p[1], [1.5 / 2 + 0.5 / 2 / 3, 0.5 / 6, 0.5 / 6])
    assert np.allclose(p[2], 1 / 3)  # nothing came after c


def test_a_word_that_comes_after_one_thing_only_is_a_poor_guess():
    """Kneser and Ney's Francisco: frequent, but only ever after San."""
    san, francisco, glasses, other = range(4)
    text = [san, francisco] * 20
    for context in (other, glasses, san, other):
        text += [context, glasses]
    model = NGram(text, 5, 2, discounts=0.75)
    unseen = model.next([[4]])[0]  # a context that never came
    assert text.count(francisco) > 3 * text.count(glasses)
    assert unseen[glasses] > unseen[francisco]


def test_what_was_seen():
    ngram, text = NGram(TEXT, 5, 4), TEXT.tolist()
    for k in range(1, 5):
        # What the last three symbols begin is too short for the model's order.
        counts = Counter(tuple(text[t : t + k]) for t in range(len(text) - 3))
        sequences, times = ngram.seen(k)
        assert [tuple(row) for row in sequences.tolist()] == sorted(counts)
        assert times.tolist() == [counts[gram] for gram in sorted(counts)]
    for k in (0, 5):
        with pytest.raises(ValueError, match=f"k is {k}"):
            ngram.seen(k)


def test_tuning_helps_on_what_it_was_tuned_on_and_stays_in_range():
    held_out = RNG.choice(5, size=300, p=[0.4, 0.3, 0.2, 0.1, 0.0])

    def bits(model):
        return -np.log2(model.probabilities(held_out)).mean()

    before, model = NGram(TEXT, 5, 3), NGram(TEXT, 5, 3)
    assert model.tune(held_out) is model
    assert bits(model) < bits(before)
    assert ((model.discounts >= 0) & (model.discounts <= 1)).all()
    assert bits(model) < bits(NGram(TEXT, 5, 3, model.discounts.clip(0, 0.3)))


def test_more_context_predicts_a_regular_text_better():
    text = np.tile([0, 1, 2, 0, 2, 1, 1], 40)
    bits = [
        -np.log2(NGram(text, 3, k).probabilities(text)).mean() for k in (1, 2, 3, 4)
    ]
    assert bits == sorted(bits, reverse=True) and bits[-1] < 0.1


@pytest.mark.parametrize("order", [1, 3])
def test_it_writes_what_it_predicts(order):
    model = NGram(TEXT, 5, order)
    start = np.array([[0, 1], [2, 2]])
    written = model.write(start, 4, np.random.default_rng(1))
    assert written.shape == (2, 4)
    again = model.write(start, 4, np.random.default_rng(1))
    assert np.array_equal(written, again)
    greedy = model.write(start, 3, None, temperature=0)
    context = start
    for k in range(3):
        best = model.next(context).argmax(axis=1)
        assert np.array_equal(greedy[:, k], best)
        context = np.concatenate([context, best[:, None]], axis=1)
    many = model.write(np.zeros((4000, 1), int), 1, np.random.default_rng(2))
    shares = np.bincount(many[:, 0], minlength=5) / 4000
    assert np.allclose(shares, model.next([[0]])[0], atol=0.04)  # 5 sd


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"symbols": [0, 5]}, "symbols runs from 0 to 5"),
        ({"symbols": [[0, 1]]}, r"symbols has shape \(1, 2\); expected \(n,\)"),
        ({"symbols": [0, 1], "order": 3}, "symbols has 2 of them; expected 3 or more"),
        ({"order": 0}, "order"),
        ({"size": 0}, "size"),
        ({"size": 1000, "order": 7}, "order is 7 with 1000 symbols"),
        ({"discounts": 1.5}, r"discounts is 1\.5; expected numbers from 0 to 1"),
        ({"discounts": [0.5]}, r"discounts has shape \(1,\); expected \(2,\)"),
    ],
)
def test_arguments_out_of_range_are_refused(change, problem):
    right = {"symbols": TEXT, "size": 5, "order": 2}
    with pytest.raises(ValueError, match=problem):
        NGram(**right | change)


def test_other_symbols_are_refused_later():
    model = NGram(TEXT, 5, 2)
    with pytest.raises(ValueError, match="symbols runs from"):
        model.probabilities([7])
    with pytest.raises(ValueError, match=r"contexts has shape \(3,\)"):
        model.next([0, 1, 2])
    with pytest.raises(ValueError, match="rng is 3"):
        model.write([[0]], 2, 3)
    with pytest.raises(ValueError, match="n is 0"):
        model.write([[0]], 0, RNG)
