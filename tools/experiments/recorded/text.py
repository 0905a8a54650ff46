"""A larger network that writes, trained until it gets no better.

Page 4.11 shows it. LSTM(256), a GRU and an RNN with as many weights, with dropout, on
streams of Python's own library; rate and dropout searched alike, three new networks of
each kind at the best. Training ends when the validation text has not become easier for
some epochs, and the best weights are kept; the search ends after eight epochs. One core
does it in about two hours.
"""

import numpy as np

from unrolled import GRU, LSTM, RNN, Adam, Dropout, SequenceClassifier
from unrolled.course.ngram import NGram
from unrolled.losses import log_softmax
from unrolled.tasks import Alphabet, load_text, one_hot

STREAMS, PIECE = 32, 64  # read side by side; symbols of each per update
EPOCHS, PATIENCE = 40, 3  # at most; without improvement, before it ends
EPOCHS_OF_SEARCH = 8
EARLY = 5  # updates
ORDER = 9
AHEAD = 100  # symbols read before the first that is scored
RATES, DROPOUTS = (0.001, 0.003), (0.2, 0.4)
TRIAL, SEEDS = 1000, (0, 1, 2)
SHARES = np.linspace(0, 1, 21)
NETWORKS = {"LSTM": (LSTM, 256), "GRU": (GRU, 300), "RNN": (RNN, 532)}


def cases(rows):
    """The counts, then for each network a search and, when it is done, its finals."""
    found = [case_of("n-gram", 0, 0.0, 0.0, "counts", 0)]
    for name, (_, units) in NETWORKS.items():
        search = [
            case_of(name, units, rate, dropout, "search", TRIAL)
            for rate in RATES
            for dropout in DROPOUTS
        ]
        found += search
        done = [r for r in rows if r["network"] == name and r["trial"] == "search"]
        if len(done) == len(search):
            best = min(done, key=lambda row: float(row["validation"]))
            how = float(best["rate"]), float(best["dropout"])
            found += [case_of(name, units, *how, "final", seed) for seed in SEEDS]
    return found


def case_of(network, units, rate, dropout, trial, seed):
    """One row to be made."""
    return {
        "network": network,
        "units": units,
        "rate": rate,
        "dropout": dropout,
        "trial": trial,
        "seed": seed,
    }


class Reading:
    """The text as numbers, and what the n-gram model expects of it."""

    def __init__(self):
        """Read the text; it must be the one that the rows are of."""
        text = load_text()
        if not text.is_known:
            raise ValueError(f"{text.origin} Expected Python's library, all of it")
        parts = (text.training, text.validation, text.test)
        train, validation, test = ("\n\n".join(part.values()) for part in parts)
        self.alphabet = alphabet = Alphabet(train + validation + test)
        self.size = len(alphabet)
        self.train, val, test = map(alphabet.encode, (train, validation, test))
        # What comes after AHEAD symbols is scored.
        self.validation = np.concatenate([self.train[-AHEAD:], val])
        self.test = np.concatenate([val[-AHEAD:], test])
        self.ends = np.cumsum([len(file) + 2 for file in text.test.values()])[:-1]
        self.ngram = NGram(self.train, self.size, ORDER).tune(val)

    def by_file(self, bits):
        """Mean of each test file, from bits of its symbols, `(n,)`."""
        return [float(part.mean()) for part in np.split(bits, self.ends)]

    def counted(self, ids):
        """Probability that the n-gram model gives to each of `ids[AHEAD:]`."""
        return self.ngram.probabilities(ids)[AHEAD:]


def run(case, updates=None):
    """Count, or train one network; returns what was measured."""
    reading = Reading()
    if case["trial"] == "counts":
        bits = -np.log2(reading.counted(reading.test))
        validation = -np.log2(reading.counted(reading.validation)).mean()
        files = reading.by_file(bits)
        return row_of(reading, validation, validation, 0, files, files, 0.0, 0.0)
    model = build(case, reading)
    most = EPOCHS_OF_SEARCH if case["trial"] == "search" else EPOCHS
    early, best, epochs = train(model, reading, most, updates)
    if updates is not None:
        return {"early_loss": early}
    return row_of(reading, early, best, epochs, *measure(model, reading))


def build(case, reading):
    """The network of a case, untrained."""
    cell, units = NETWORKS[case["network"]][0], case["units"]
    dropout = case["dropout"]
    model = SequenceClassifier(
        [cell(units, recurrent_dropout=dropout), Dropout(dropout)],
        reading.size,
        return_sequences=True,
        optimizer=Adam(case["rate"], global_clipnorm=1.0),
        seed=case["seed"],
    )
    model.build(reading.size)
    return model


def row_of(reading, early, validation, epochs, files, mixed, lost_100, lost_1000):
    """Name what was measured, with the digits that it deserves."""
    measured = {
        "early_loss": early,
        "validation": validation,
        "test": float(np.mean(files)),
        "lost_100": lost_100,
        "lost_1000": lost_1000,
    }
    for name, values in (("file", files), ("mixed", mixed)):
        measured |= {f"{name}_{k}": value for k, value in enumerate(values)}
    rounded = {name: round(float(value), 6) for name, value in measured.items()}
    return {"epochs": epochs} | rounded


def train(model, reading, most, updates=None):
    """Train until it gets no better, for `most` epochs at most.

    After an epoch without improvement the rate is halved. At the end the model has the
    weights that were best on the validation text.

    Returns:
        loss of update EARLY in nats, the best bits on the validation text, epochs.
    """
    length = (len(reading.train) - 1) // STREAMS // PIECE * PIECE
    x = reading.train[: STREAMS * length].reshape(STREAMS, length)
    y = reading.train[1 : STREAMS * length + 1].reshape(STREAMS, length)
    best, kept, since, done, early = np.inf, None, 0, 0, None
    for epoch in range(1, most + 1):
        state = None
        for k in range(0, length, PIECE):
            piece = one_hot(x[:, k : k + PIECE], reading.size), y[:, k : k + PIECE]
            loss = model.train_on_batch(*piece, state)["loss"]
            state, done = model.state, done + 1
            if done == EARLY:
                early = loss
            if done == updates:
                return early, best, epoch
        bits = surprise(model, reading.validation).mean()
        since = since + 1 if bits >= best else 0
        if since == 0:
            best, kept = bits, model.get_weights()
        else:
            model.optimizer.learning_rate /= 2
        if since == PATIENCE:
            break
    model.set_weights(kept)
    return early, float(best), epoch


def surprise(model, ids, length=2000, ahead=AHEAD):
    """Bits of each of `ids[ahead:]`, `(n,)`, as on page 4.11: rows of `length`."""
    n = len(ids) - ahead
    rows = np.arange(0, n, length)[:, None] + np.arange(1 - ahead, length)
    rows = np.minimum(rows, n - 1) + ahead
    state, found = None, []
    for k in range(0, rows.shape[1], 64):
        at = rows[:, k : k + 64]
        logp = log_softmax(model.forward(one_hot(ids[at - 1], model.outputs), state))
        state = model.state
        found.append(np.take_along_axis(logp, ids[at][..., None], -1)[..., 0])
    scored = -np.concatenate(found, axis=1)[:, ahead - 1 :] / np.log(2)
    return scored.ravel()[:n]


def measure(model, reading):
    """Bits of each test file, alone and mixed; bits lost by forgetting."""
    validation = 2.0 ** -surprise(model, reading.validation)
    bits = surprise(model, reading.test)
    p, q = reading.counted(reading.validation), reading.counted(reading.test)
    losses = [-np.log2(s * validation + (1 - s) * p).mean() for s in SHARES]
    share = SHARES[int(np.argmin(losses))]
    mixed = -np.log2(share * 2.0**-bits + (1 - share) * q)
    forgot = surprise(model, reading.test[AHEAD:], ahead=1)
    lost = forgot - bits[1:]
    lost = lost[: len(lost) // 2000 * 2000].reshape(-1, 2000)
    files = [reading.by_file(values) for values in (bits, mixed)]
    return *files, lost[:, 100:].mean(), lost[:, 1000:].mean()
