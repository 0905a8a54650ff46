"""Watch it write: a network and a table of counts go on from the reader's beginning."""

import base64
import io
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unrolled.checks import check_integer
from unrolled.explorables.show import Explorable
from unrolled.generation import generate
from unrolled.losses import log_softmax
from unrolled.lstm import LSTM
from unrolled.model import SequenceClassifier
from unrolled.tasks import Alphabet, one_hot
from unrolled.types import Array

if TYPE_CHECKING:
    from unrolled.course.ngram import NGram

LONGEST = 6  # symbols of an n-gram in the table that is shown
#: Characters for picture, weights and table, all as base64; the table gets the rest.
ROOM = 108_000
SHORTEST = 200  # symbols that the sample must have
COLOURS = {"LSTM": "#004C8C", "table": "#7A4FA3"}  # as in `explorable.css`

#: Texts that the reader sees, by name; the explorable fills in what is in braces.
WORDS: dict[str, Any] = {
    "picture": "A text that a network has written, each letter on a background that "
    "shows the state of one unit, and bars: how probable the network holds each of the "
    "letters that may come next.",
    "names": {"LSTM": "LSTM", "table": "Table of counts"},
    "symbols": {" ": "space", "\n": "end of line", "\t": "tab"},
    "begin": "Type a beginning",
    "unknown": "Not in the alphabet, and left out: {symbols}",
    "story": "An LSTM and a table of counts have read “{text}”. Which letter does the "
    "LSTM expect next?",
    "skip": "Just show me",
    "guessed": "You said: {guess}.",
    "expects": "The LSTM expects “{LSTM}” most, and the table “{table}”.",
    "next": "Press Play, and a text is written; click on a bar, and that letter comes "
    "next.",
    "text": "The text",
    "play": "Play",
    "pause": "Pause",
    "step": "One letter",
    "back": "Back",
    "again": "Write anew",
    "count": "letters: {n}",
    "full": "The page is full. Go back, write anew, or begin with something else.",
    "writer": "Who writes",
    "writes": "writes",
    "agreeAsk": "Now the table writes {n} letters, and the LSTM reads along. How many "
    "of them will be just those that the LSTM expected most?",
    "agreeChoices": ["Fewer than 10", "10 to 19", "20 to 29", "30 or more"],
    "agree": "{same} of the {n} letters were those that the LSTM expected most.",
    "temperature": "Temperature",
    "cold": "cold",
    "hot": "hot",
    "warmAsk": "The temperature goes from {before} to {now}. What does that do to the "
    "longest bar?",
    "warmChoices": ["It grows", "It shrinks"],
    "warm": "“{symbol}” goes from {before} to {now}. The mark stays: it is what "
    "was learned, at temperature 1.",
    "colder": "Colder, a writer keeps to its favourites, and at last repeats itself.",
    "hotter": "Hotter, it tries what it hardly believes.",
    "bars": "{name}: what may come next",
    "bar": "{symbol}, {p}",
    "others": "others",
    "sees": {
        "LSTM": "goes by all {n} letters, kept in {units} + {units} numbers",
        "table": "goes by the last {n}: “{context}”",
        "nothing": "goes by how often each letter occurs",
    },
    "colour": "Colour of the letters",
    "unit": "any unit",
    "named": "unit {unit}: {name}",
    "another": "another unit",
    "value": "Unit {unit} after “{symbol}”: {value} standard deviations from its mean.",
    "legend": {
        "above": "the unit is above its mean,",
        "below": "below it; the stronger the colour, the further.",
        "fonts": "Bold: the beginning, after an empty line. Underlined: chosen by you.",
        "bars": "Bars: the chance of being written next. Marks across "
        "them: the same at temperature 1.",
        "packed": "To fit into the page, the LSTM's weights are rounded to 8 bits, and "
        "the table has the {kept} most telling of its {all} n-grams, of at most "
        "{longest} letters. On {n} letters that neither has learned from, that LSTM "
        "needs {LSTM} bits per letter (unrounded {LSTM_whole}) and that table {table} "
        "(the whole one {table_whole}).",
    },
    "now": "{n} letters. The end: {text}. Next, the LSTM expects {symbol}, {p}.",
    "still": "An LSTM writes Python, letter by letter. Where scripts run, type a "
    "beginning here, see what it expects next, change the temperature, or let a table "
    "of counts write instead.",
}


def write_text(
    model: SequenceClassifier,
    alphabet: Alphabet,
    ngram: "NGram",
    sample: str,
    *,
    units: Mapping[str, int] | None = None,
    beginnings: Sequence[str] = ("# This is the fi", "def __init__(", "import "),
    network: int = 0,
    words: Mapping[str, Any] | None = None,
) -> Explorable:
    """Show a network and an n-gram model that write: the reader types a beginning.

    Both show what they expect next, as bars. One of them goes on, letter by letter, or
    the reader chooses a letter; a slider sets the temperature, and the state of one of
    the network's units colours the text. Each text begins after an empty line.

    To fit into a page, the weights are rounded by `round_network` and the table is cut
    by `CutTable`; the explorable says what that costs.

    Args:
        model: an LSTM that was trained with `return_sequences` to predict the next
            symbol from one-hot symbols; of an ensemble, one network is shown.
        alphabet: the symbols, at most 128.
        ngram: counts of the same symbols.
        sample: a text from which neither has learned, some thousand symbols: each
            unit's mean and spread are taken from it, and what rounding and cutting
            cost.
        units: units to colour the text by, the first one at the beginning: what each
            stands for, and its number from 0. None means unit 0.
        beginnings: some to choose from, of one line each; the story has the first.
        network: which one of an ensemble.
        words: texts to use instead of those in `WORDS`, by the same names.

    Returns:
        the explorable; as the result of a cell it shows itself.

    Raises:
        ValueError: a model of another kind; model, alphabet and n-gram model of
            different sizes; a sample that is too short, or symbols that the alphabet
            lacks; a unit that is not there; an unknown name of a text.
    """
    if unknown := set(words or {}) - set(WORDS):
        raise ValueError(f"words has {sorted(unknown)}; expected names of WORDS")
    texts = {**WORDS, **(words or {})}
    whole, shown = _take(model, network), round_network(model, network)
    V, H = len(alphabet), shown.body.output_features
    if not V == ngram.size == shown.outputs or V > 128:
        raise ValueError(
            f"alphabet has {V} symbols, ngram {ngram.size} and model {shown.outputs} "
            "classes; expected as many of each, and at most 128"
        )
    marks = {name: check_integer("units", k, 0) for name, k in (units or {}).items()}
    if any(k >= H for k in marks.values()):
        raise ValueError(f"units is {units}; expected numbers below {H}")
    if not beginnings or any("\n" in one for one in beginnings):
        raise ValueError(f"beginnings is {beginnings}; expected some, of one line each")
    before = "\n\n" if "\n" in alphabet.symbols else ""
    starts, ids = (
        [alphabet.encode(before + one) for one in beginnings],
        alphabet.encode(sample),
    )
    if len(ids) < SHORTEST:
        raise ValueError(f"sample has {len(ids)} symbols; expected {SHORTEST} or more")

    weights, scales = _pack(whole.get_weights())
    picture = _draw(shown, alphabet, starts[0], next(iter(marks.values()), 0))
    rest = ROOM - len(weights) - len(picture) * 4 // 3
    table = CutTable(ngram, max(0, rest) * 3 // 4)
    by_table = table.next([ids[max(0, t - LONGEST) : t] for t in range(1, len(ids))])
    bits = {
        "LSTM_whole": _surprise(whole, ids),
        "LSTM": _surprise(shown, ids),
        "table_whole": -np.log2(ngram.probabilities(ids)[1:]).mean(),
        "table": -np.log2(by_table[np.arange(len(ids) - 1), ids[1:]]).mean(),
    }
    cells = _cells(shown, ids)
    return Explorable(
        "write.js",
        {
            "symbols": alphabet.symbols,
            "weights": weights,
            "scales": scales,
            "units": H,
            "means": cells.mean(axis=0).round(3).tolist(),
            "spreads": np.maximum(cells.std(axis=0), 0.001).round(3).tolist(),
            "table": base64.b64encode(table.pack()).decode(),
            "discounts": table.discounts,
            "before": before,
            "beginnings": list(beginnings),
            "marks": marks,
            "facts": {name: f"{value:.2f}" for name, value in bits.items()}
            | {
                "n": f"{len(ids):,}",
                "kept": f"{table.kept:,}",
                "all": f"{table.of:,}",
                "longest": str(len(table.discounts)),
            },
        },
        picture=picture,
        words=texts,
        sentence=texts["still"],
        height=HEIGHT,
    )


#: Room for the explorable, by its width in pixels.
HEIGHT = {
    0: "96rem",
    296: "91.5rem",
    330: "86.5rem",
    366: "83rem",
    480: "76.5rem",
    640: "48.5rem",
}


def round_network(model: SequenceClassifier, network: int = 0) -> SequenceClassifier:
    """Return the network as a page shows it: with weights of 8 bits.

    Each of its five arrays becomes integers from −127 to 127 times one number.

    Args:
        model: an LSTM that predicts the next symbol; see `write_text`.
        network: which one of an ensemble.

    Returns:
        one network, in double precision.

    Raises:
        ValueError: a model of another kind, or no such network.
    """
    rounded = _take(model, network)
    weights = rounded.get_weights()
    text, scales = _pack(weights)
    flat = np.frombuffer(base64.b64decode(text), np.int8)
    parts = np.split(flat, np.cumsum([w.size for w in weights])[:-1])
    rounded.set_weights([
        scale * part.reshape(w.shape).astype(float)
        for w, part, scale in zip(weights, parts, scales, strict=True)
    ])
    return rounded


class CutTable:
    """The n-grams of a model that tell most, as many as there is room for.

    An n-gram tells much if it came often and the shorter one is a poor guess. The
    prediction of order k is mixed as in `NGram`, except that the counts are those of
    the text at every order, and that what was left out goes to the order below::

        p_k(w | context) = (kept(w) + (N − sum of all kept) · p_{k−1}(w | shorter)) / N

    with kept(w) = max(n(context w) − D_k, 0) for the n-grams that are there, 0 for
    others, and N how often the context came.

    Args:
        ngram: the whole model.
        room: bytes that `pack` may need.

    Attributes:
        discounts: D of each order, from 1 upwards; of the whole model.
        kept: how many n-grams there are.
        of: how many the whole model has.
    """

    def __init__(self, ngram: "NGram", room: int) -> None:
        self.size = ngram.size
        self.discounts: list[float] = ngram.discounts[:LONGEST].tolist()
        seen = [ngram.seen(k) for k in range(1, ngram.order + 1)]
        self.of = sum(len(counts) for _, counts in seen)
        seen = seen[:LONGEST]
        counts = np.concatenate([n for _, n in seen])
        worth, parent = _worth(seen, self.discounts)
        best = np.argsort(-worth, kind="stable")
        need = 1 + _varint_length(counts[best])
        need[np.unique(parent[best], return_index=True)[1]] += 1  # a first child
        best = best[: np.searchsorted(np.cumsum(need), room, side="right")]
        self.kept = len(best)
        chosen, grams = (
            set(best.tolist()),
            (g.tolist() for of_k, _ in seen for g in of_k),
        )
        self.counts = {
            bytes(gram): n
            for k, (gram, n) in enumerate(zip(grams, counts.tolist(), strict=True))
            if k in chosen
        }
        after: dict[bytes, list[bytes]] = {}
        for gram in self.counts:
            after.setdefault(gram[:-1], []).append(gram)
        self._after = {context: self._keep(grams) for context, grams in after.items()}

    def _keep(self, grams):
        """Return N, the symbols after a context, and what is kept of each."""
        context, discount = grams[0][:-1], self.discounts[len(grams[0]) - 1]
        counts = np.array([self.counts[gram] for gram in grams])
        N = self.counts[context] if context else counts.sum()
        return N, [gram[-1] for gram in grams], np.maximum(counts - discount, 0)

    def next(self, contexts: Sequence[Array]) -> Array:
        """Return what may come next after each context, `(n,)` → `(n, size)`.

        Args:
            contexts: integers, of any length each.

        Returns:
            probabilities.
        """
        p = np.full((len(contexts), self.size), 1 / self.size)
        for row, symbols in zip(p, contexts, strict=True):
            context = bytes(np.asarray(symbols, np.uint8))
            for k in range(min(len(self.discounts), len(context) + 1)):
                found = self._after.get(context[len(context) - k :])
                if found:
                    N, after, kept = found
                    row *= (N - kept.sum()) / N
                    row[after] += kept / N
        return p

    def pack(self) -> bytes:
        """Return the table as bytes: a tree of n-grams, each below its context.

        Each has one byte for its last symbol, with the highest bit set if others lie
        below it; its count, seven bits in a byte, the lowest ones first; and how many
        lie below it. The first byte is how many lie at the top.
        """
        below: dict[bytes, int] = {}
        for gram in self.counts:
            below[gram[:-1]] = below.get(gram[:-1], 0) + 1
        packed = bytearray([below.get(b"", 0)])
        for gram in sorted(self.counts):
            n, children = self.counts[gram], below.get(gram, 0)
            packed.append(gram[-1] | 128 * bool(children))
            while n > 127:
                packed.append(n & 127 | 128)
                n >>= 7
            packed.append(n)
            packed += bytes([children] if children else [])
        return bytes(packed)


def _worth(
    seen: list[tuple[Array, Array]], discounts: list[float]
) -> tuple[Array, Array]:
    """Return how many bits each n-gram saves, and where its context stands (or −1).

    Bits on the text that was counted, compared with the prediction one order below;
    of a context at least as many as of what it is needed for.
    """

    def number(symbols):
        return symbols @ 128 ** np.arange(symbols.shape[1] - 1, -1, -1)

    (first, counts), p = seen[0], np.ones(0)
    p = counts / counts.sum()
    worth, parents = [np.full(len(first), np.inf)], []
    for (shorter, _), (grams, counts), discount in zip(
        seen[:-1], seen[1:], discounts[1:], strict=True
    ):
        context, suffix = (
            np.searchsorted(number(shorter), number(part))
            for part in (grams[:, :-1], grams[:, 1:])
        )
        suffix = np.minimum(suffix, len(shorter) - 1)
        N, T = np.bincount(context, counts), np.bincount(context)
        kept = np.maximum(counts - discount, 0)
        longer = (kept + discount * T[context] * p[suffix]) / N[context]
        worth.append(counts * np.log2(longer / p[suffix]))
        parents.append(context)
        p = longer
    for k in range(len(parents) - 1, -1, -1):
        np.maximum.at(worth[k], parents[k], worth[k + 1])
    starts = np.cumsum([0, *map(len, worth)])
    parent = [np.full(len(first), -1)]
    parent += [context + starts[k] for k, context in enumerate(parents)]
    return np.concatenate(worth), np.concatenate(parent)


def _varint_length(counts: Array) -> Array:
    """Return how many bytes of seven bits each count needs."""
    return np.ceil(np.log2(counts + 1) / 7).astype(int)


def _take(model: SequenceClassifier, network: int) -> SequenceClassifier:
    """Return one network of a model that writes, in double precision."""
    if not isinstance(model, SequenceClassifier) or not model.return_sequences:
        raise ValueError(
            f"model is {type(model).__name__}; expected a SequenceClassifier with "
            "return_sequences=True"
        )
    if type(model.body) is not LSTM or model.body.features != model.outputs:
        raise ValueError(
            f"model has {type(model.body).__name__} with {model.body.features} "
            f"features and {model.outputs} classes; expected one LSTM and as many of "
            "each"
        )
    if check_integer("network", network, 0) >= (model.networks or 1):
        raise ValueError(f"network is {network}; the model has {model.networks or 1}")
    one = SequenceClassifier(
        LSTM(model.body.units, dtype="float64"), model.outputs, return_sequences=True
    )
    one.build(model.outputs)
    one.set_weights([
        (w if model.networks is None else w[network]).astype(float)
        for w in model.get_weights()
    ])
    return one


def _pack(weights: Sequence[Array]) -> tuple[str, list[float]]:
    """Return arrays as 8-bit integers, in base64, and what one of each stands for."""
    scales = [float(np.abs(w).max()) / 127 or 1.0 for w in weights]
    rounded = [np.rint(w / scale) for w, scale in zip(weights, scales, strict=True)]
    flat = np.concatenate([w.ravel() for w in rounded]).astype(np.int8)
    return base64.b64encode(flat.tobytes()).decode(), scales


def _surprise(model: SequenceClassifier, ids: Array) -> float:
    """Return the bits per symbol that a network needs, from the second symbol on."""
    logp = log_softmax(model.forward(one_hot(ids[None, :-1], model.outputs))[0])
    return -float(logp[np.arange(len(ids) - 1), ids[1:]].mean()) / np.log(2)


def _cells(model: SequenceClassifier, ids: Array) -> Array:
    """Return the LSTM's cell states after each symbol, `(n, units)`."""
    model.forward(one_hot(ids[None], model.outputs))
    assert isinstance(model.body, LSTM)
    return model.body.activations()["c"][0]


def _draw(
    model: SequenceClassifier, alphabet: Alphabet, start: Array, unit: int
) -> bytes:
    """Draw the still, as PNG: a text, coloured by a unit, and what may come next."""
    from matplotlib.colors import to_rgb  # here, because it takes half a second
    from matplotlib.figure import Figure
    from PIL import Image

    rng, columns, rows = np.random.default_rng(0), 46, 9
    written = generate(model, start[None], columns * rows, rng, temperature=0.7)[0]
    ids = np.concatenate([start, written])
    states = _cells(model, ids)[:, unit]
    states = (states - states.mean()) / max(states.std(), 0.001)
    figure = Figure(figsize=(6.4, 2.2))
    ax = figure.add_axes((0.01, 0.02, 0.7, 0.96), xlim=(0, columns), ylim=(rows, 0))
    ax.set_axis_off()
    row, column, t = 0, 0, len(ids) - len(ids[2:]) if len(start) > 2 else 0
    while row < rows and t < len(ids):
        symbol = alphabet.symbols[ids[t]]
        colour = to_rgb(COLOURS["LSTM"] if states[t] > 0 else "#5C6066")
        alpha = min(0.5, abs(states[t]) / 4)
        ax.fill_between(
            [column, column + 1], row, row + 1, color=colour, alpha=alpha, lw=0
        )
        if symbol.isprintable():
            ax.text(
                column + 0.5,
                row + 0.55,
                symbol,
                ha="center",
                va="center",
                fontsize=8,
                family="monospace",
                parse_math=False,
                weight="bold" if t < len(start) else "normal",
            )
        column, t = column + 1, t + 1
        if symbol == "\n" or column == columns:
            row, column = row + 1, 0
    logits = model.forward(one_hot(ids[None, :t], model.outputs))[0, -1]
    p = np.exp(log_softmax(logits))
    top = np.argsort(-p)[:8]
    bars = figure.add_axes((0.77, 0.05, 0.22, 0.9))
    bars.barh(range(8), p[top], color=COLOURS["LSTM"])
    names = {" ": "␣", "\n": "↵"}
    bars.set_yticks(
        range(8),
        [names.get(s, s) for s in alphabet.decode(top)],
        family="monospace",
        parse_math=False,
    )
    bars.set(xticks=[], ylim=(7.6, -0.6))
    bars.grid(False)
    bars.spines[:].set_visible(False)
    bars.tick_params(length=0)
    made, small = io.BytesIO(), io.BytesIO()
    with warnings.catch_warnings(action="ignore"):  # a font without some symbols
        figure.savefig(made, dpi=100)
    # A few colours are enough, and make a third of the file.
    Image.open(made).convert("RGB").quantize(32).save(small, "PNG", optimize=True)
    return small.getvalue()
