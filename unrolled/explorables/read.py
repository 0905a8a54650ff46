"""Watch it read: an RNN, an LSTM and a GRU read a digit, row by row."""

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unrolled.archive import read_arrays
from unrolled.explorables.show import Explorable
from unrolled.gru import GRU
from unrolled.lstm import LSTM
from unrolled.model import SequenceClassifier
from unrolled.recurrence import Recurrent
from unrolled.rnn import RNN
from unrolled.types import Array, Arrays

#: Networks and digits, written by `tools/experiments/recorded/reading.py`.
SHIPPED = Path(__file__).parent / "read.npz"

LAYERS: dict[str, type[Recurrent]] = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}
HALF = 14  # rows read when the story begins
#: Of the diagrams, as in `explorable.css`.
COLOURS = {"RNN": "#C04F00", "LSTM": "#004C8C", "GRU": "#007A59"}

#: Texts that the reader sees, by name; the explorable fills in what is in braces.
WORDS: dict[str, Any] = {
    "picture": "The upper half of a handwritten digit, read by three networks. Beside "
    "it, row by row, the ten answers and the units of an RNN, an LSTM and a GRU.",
    "digit": "The digit",
    "caption": "Time runs downwards. To the right, after each row: the ten answers, "
    "the surer the stronger, and the {units} units; point at one.",
    "paper": "Drawing paper. Arrow keys move the pen, the space bar lowers and lifts "
    "it, Delete clears the paper.",
    "answers": "{name}: its ten answers after each row",
    "units": "{name}: its {units} units after each row",
    "says": "The RNN says {RNN}, the LSTM {LSTM}, the GRU {GRU}.",
    "story": "Three networks have read the upper half of a digit, as you have. So far "
    "the RNN says {RNN}, the LSTM {LSTM}, the GRU {GRU}. Which digit will it be?",
    "skip": "Just show me",
    "guessed": "You said: {guess}.",
    "itIs": "The digit is {label}.",
    "youDrew": "You drew {label}.",
    "from": "The {name} is right from row {row} on.",
    "never": "The {name} is wrong at the end.",
    "next": "Now it is your turn: draw a digit, blank a row, hold a gate.",
    "play": "Play",
    "pause": "Pause",
    "rows": "Rows read",
    "count": "{rows} of 28",
    "take": "Choose a digit",
    "example": "Example {number}",
    "draw": "Draw one yourself",
    "drawNow": "Draw a digit on the paper, as large as you like. The networks begin "
    "to read when you lift the pen, and again after each further stroke.",
    "drawn": "Before they read it: which digit did you draw?",
    "first": "They have not read a row yet. Which network will be the first to settle "
    "on the right answer?",
    "change": "Change the digit",
    "blank": "Blank row {row}",
    "unblank": "Restore row {row}",
    "restore": "Undo all changes",
    "blankAsk": "Row {row} goes blank and all three read again. How many of the three "
    "last answers will change?",
    "howMany": ["None", "One", "Two", "All three"],
    "hold": "Hold a gate",
    "free": "free",
    "holdAsk": "The {gate} of every unit is held at {value}, in every row. After the "
    "last row, will the {name} still say {answer}?",
    "yesNo": ["Yes", "No"],
    "moves": "The {name} said {before} after the last row, and now says {now}.",
    "stays": "None of the three last answers changes.",
    "unit": "Curve over the digit",
    "which": "Which unit, from the left",
    "oneUnit": "{name}, unit {unit} from the left: {symbol} is {value} after row "
    "{row}.",
    "votes": [
        "At the end it votes against {answer}.",
        "At the end it votes for {answer}.",
    ],
    "more": "More to look at",
    "show": "Units show",
    "views": {
        "state": "state: h, c, h",
        "keep": "forget gate f, update gate z",
        "candidate": "candidate g",
        "input": "input gate i",
        "output": "output gate o",
        "reset": "reset gate r",
        "hidden": "hidden state h",
    },
    "gates": {
        "f": "forget f",
        "i": "input i",
        "o": "output o",
        "z": "update z",
        "r": "reset r",
    },
    "symbols": {
        "f": "forget gate f",
        "i": "input gate i",
        "o": "output gate o",
        "z": "update gate z",
        "r": "reset gate r",
    },
    "heads": {
        "h": "state h",
        "c": "state c",
        "g": "candidate g",
        "f": "gate f",
        "i": "gate i",
        "o": "gate o",
        "z": "gate z",
        "r": "gate r",
    },
    "none": "none",
    "legend": "One stripe per unit: coloured above zero, grey below. Units on the left "
    "speak for the network's final answer, those on the right against it. After the "
    "last row, a bar at the digit's edge shows how much each row counted.",
    "still": "An RNN, an LSTM and a GRU read a digit row by row and answer after every "
    "row. Where scripts run, draw your own digit here, blank a row, or hold a gate.",
}


def read_digits(*, words: Mapping[str, Any] | None = None) -> Explorable:
    """Show three networks that read a digit row by row: draw one, or choose one.

    They answer after every row, because they were trained with the label at every row.
    The reader plays or slides through the rows, blanks rows, and holds gates at 0 or 1;
    each time before the first use the explorable asks what will happen.

    Args:
        words: texts to use instead of those in `WORDS`, by the same names.

    Returns:
        the explorable; as the result of a cell it shows itself.

    Raises:
        ValueError: an unknown name of a text.

    Example:
        >>> from unrolled.explorables import read_digits
        >>> read_digits().data["labels"][1:]
        [0, 1, 3, 4, 5, 6, 7, 8, 9, 7, 3]
    """
    if unknown := set(words or {}) - set(WORDS):
        raise ValueError(f"words has {sorted(unknown)}; expected names of WORDS")
    texts = {**WORDS, **(words or {})}
    shipped, (images, labels) = read_arrays(SHIPPED), load_digits()
    levels = np.round(15 * images).astype(np.uint8).reshape(-1, 2)
    flat = {
        name: np.concatenate([w.ravel() for w in _weights(shipped, name)])
        for name in LAYERS
    }
    return Explorable(
        "read.js",
        {
            "weights": {name: _encode(w, "<f2") for name, w in flat.items()},
            "units": shipped["RNN_1"].shape[0],
            "digits": _encode(levels[:, 0] << 4 | levels[:, 1], "u1"),
            "labels": labels.tolist(),
            "half": HALF,
        },
        picture=_draw(images[0]),
        words=texts,
        sentence=texts["still"],
        height=HEIGHT,
    )


#: Room for the explorable, by its width in pixels.
HEIGHT = {
    0: "76rem",
    310: "73.5rem",
    480: "67.5rem",
    600: "66rem",
    640: "52rem",
    780: "50.5rem",
}


def load_networks() -> dict[str, SequenceClassifier]:
    """Load the networks that read, in double precision.

    How many of MNIST's test digits they read correctly after 7, 13 and 28 rows is in
    the recorded run "reading", in the row of seed 0.

    Returns:
        classifiers by name: "RNN", "LSTM", "GRU". Their `predict` takes digits
        `(n, 28, 28)` with values from 0 to 1, and gives `(n, 28, 10)`.
    """
    shipped, networks = read_arrays(SHIPPED), {}
    for name, layer in LAYERS.items():
        weights = _weights(shipped, name)
        cell = layer(len(weights[1]), dtype="float64")
        networks[name] = SequenceClassifier(cell, 10, return_sequences=True)
        networks[name].build(28)
        networks[name].set_weights([w.astype(float) for w in weights])
    return networks


def load_digits() -> tuple[Array, Array]:
    """Load the digits to choose from, that of the story first.

    They are test digits of MNIST: one of each class, chosen because the networks are at
    odds about it after half of the rows, and two on which they end divided.

    Returns:
        `(images, labels)`: `(12, 28, 28)` with 16 levels from 0 to 1, and `(12,)`.
    """
    shipped = read_arrays(SHIPPED)
    return np.round(shipped["images"] / 17) / 15, shipped["labels"]


def _weights(shipped: Arrays, name: str) -> list[Array]:
    """Return one network's weights, in Keras's order."""
    return [shipped[f"{name}_{k}"] for k in range(5)]


def _encode(array: Array, dtype: str) -> str:
    """Return the array's bytes as base64."""
    return base64.b64encode(array.astype(dtype).tobytes()).decode()


def _draw(image: Array) -> bytes:
    """Draw the still, as PNG: the digit half read, answers and states beside it."""
    from matplotlib.colors import to_rgb  # here, because it takes half a second
    from matplotlib.figure import Figure
    from PIL import Image

    def paint(values, colour):  # above zero in colour, below in grey
        ink = np.where(values[..., None] > 0, to_rgb(colour), to_rgb("#5C6066"))
        painted = 1 - np.abs(values[..., None]) * (1 - ink)
        painted[HALF:] = 1  # not read yet
        return painted

    panels = [(paint(image, "#222"), f"{HALF} / 28")]
    for name, network in load_networks().items():
        answers, cell = network.predict(image[None])[0], network.body
        assert isinstance(cell, Recurrent)  # no stack of layers
        run = cell.activations()
        state = np.tanh(run["c"][0]) if "c" in run else run["h"][0]
        votes = (
            run["h"][0, -1] * network.head.weights["kernel"][:, answers[-1].argmax()]
        )
        panels += [
            (paint(answers, COLOURS[name]), f"{name}: {answers[HALF - 1].argmax()}"),
            (paint(state[:, np.argsort(-votes)], COLOURS[name]), ""),
        ]
    figure = Figure(figsize=(6.4, 2.4), layout="constrained")
    axes = figure.subplots(1, len(panels), width_ratios=[28, *[10, 13] * 3])
    for ax, (painted, title) in zip(axes, panels, strict=True):
        ax.imshow(painted, aspect="auto", interpolation="nearest")
        ax.axhline(HALF - 0.5, color="#222", linewidth=1.5)
        ax.set(xticks=[], yticks=[])
        ax.set_title(title, loc="left", fontsize=10)
        ax.spines[:].set_color("#C4C8CE")
    made, small = io.BytesIO(), io.BytesIO()
    figure.savefig(made, dpi=110)
    # A few colours are enough, and make a third of the file.
    Image.open(made).convert("RGB").quantize(96).save(small, "PNG", optimize=True)
    return small.getvalue()
