"""One unit of an LSTM, a GRU or an RNN in the reader's hands."""

import io
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from unrolled.checks import check_integer
from unrolled.explorables.show import Explorable
from unrolled.gru import GRU
from unrolled.jacobians import jacobians
from unrolled.lstm import LSTM
from unrolled.recurrence import Recurrent
from unrolled.rnn import RNN
from unrolled.types import Array, Arrays

Weights = Mapping[str, Iterable[float]]

CELLS: dict[str, type[Recurrent]] = {"LSTM": LSTM, "GRU": GRU, "RNN": RNN}
#: The gate whose product is the direct path.
KEEPS = {"LSTM": "f", "GRU": "z"}

_SHUT_EXCEPT_AT_WRITE: list[float] = [-20, 40, 0, 0]
_OPEN: list[float] = [20, 0, 0, 0]
#: Weights by cell, name and block: the bias, then the weights of write, erase and h.
#: Page 2.3 derives those of the machines, with S = 20.
PRESETS: dict[str, dict[str, dict[str, list[float]]]] = {
    "LSTM": {
        "keras": {  # as `LSTM(1, 2, seed=2)` draws them, rounded
            "i": [0, -0.48, 0.2, 0.23],
            "f": [1, -0.4, 0.46, -0.46],
            "g": [0, 0.63, -0.62, 0.82],
            "o": [0, -0.82, -0.89, -0.26],
        },
        "latch": {
            "i": _SHUT_EXCEPT_AT_WRITE,
            "f": [20, -40, -40, 0],
            "g": [0, 20, 0, 0],
            "o": _OPEN,
        },
        "counter": {
            "i": _SHUT_EXCEPT_AT_WRITE,
            "f": _OPEN,
            "g": _OPEN,
            "o": _OPEN,
        },
        "eraser": {
            "i": _SHUT_EXCEPT_AT_WRITE,
            "f": [20, 0, -40, 0],
            "g": [0, 0.6, 0, 0],
            "o": _OPEN,
        },
        "first": {
            "i": _SHUT_EXCEPT_AT_WRITE,
            "f": [40, 0, 0, 0],
            "g": [0, 0.6, 0, 0],
            "o": _OPEN,
        },
        "leaky": {
            "i": _SHUT_EXCEPT_AT_WRITE,
            "f": [2.2, 0, 0, 0],
            "g": _OPEN,
            "o": _OPEN,
        },
        "loop": {  # f + i W o is a little above 1: what f loses comes back through h
            "i": [2, 0, 0, 0],
            "f": [-1, 0, 0, 0],
            "g": [0, 0.2, -0.4, 1],
            "o": [3, 0, 0, 0],
        },
    },
    "GRU": {
        "keras": {  # GRU(1, 2, seed=2)
            "z": [0, -0.52, -0.89, -0.37],
            "r": [0, -0.44, 0.22, 0.87],
            "g": [0, 0.69, 0.5, 0.32],
        },
        "latch": {
            "z": [20, -40, -40, 0],
            "r": [0, 0, 0, 0],
            "g": [0, 20, 0, 0],
        },
        "leaky": {
            "z": [2.2, -20, 0, 0],
            "r": [0, 0, 0, 0],
            "g": [0, 20, 0, 0],
        },
    },
    "RNN": {
        "keras": {"h": [0, 0.39, -0.65, 1]},  # RNN(1, 2, seed=0)
        "latch": {"h": [0, 4, -4, 2]},
        "leaky": {"h": [0, 0.5, -0.5, 0.9]},
        "above": {"h": [0, 1, -1, 1.5]},
    },
}

#: Every text of `cell`, in English.
WORDS: dict[str, Any] = {
    "cell": "Cell",
    "models": {"LSTM": "LSTM", "GRU": "GRU", "RNN": "RNN"},
    "start": "Preset",
    "presets": {
        "keras": "Keras at the start",
        "latch": "latch",
        "counter": "counter",
        "eraser": "eraser",
        "first": "no forget gate",
        "leaky": "leaky",
        "loop": "loop through h",
        "above": "weight above one",
    },
    "again": "Start again",
    "weights": "Weights",
    "blocks": {
        "LSTM": {
            "i": "input gate i",
            "f": "forget gate f",
            "g": "candidate g",
            "o": "output gate o",
        },
        "GRU": {"z": "update gate z", "r": "reset gate r", "g": "candidate g"},
        "RNN": {"h": "hidden state h"},
    },
    "of": {"bias": "bias", "write": "for write", "erase": "for erase", "h": "for h"},
    "write": "write",
    "erase": "erase",
    "step": "step {t}",
    "axis": "step",
    "marks": "The input: click a step to write there, or to erase.",
    "hint": "Point at a step for its numbers.",
    "chart": "The unit over {T} steps: its state, its gates, and what is left of a "
    "gradient. The line below says the numbers of a step.",
    "states": {"c": "cell state c", "h": "hidden state h"},
    "gates": "gates, full when open; g from −1 to 1",
    "gradient": "what is left of a gradient from step {T} (log axis)",
    "kept": "kept: ½ to 2",
    "total": {"c": "total dc_T/dc_t", "h": "total dh_T/dh_t"},
    "direct": {"f": "direct: ∏ f", "z": "direct: ∏ z"},
    "fates": ["vanishes", "is kept", "explodes"],
    "shut": {
        "f": "vanishes where the forget gate shuts (step {steps})",
        "z": "vanishes where the update gate shuts (step {steps})",
    },
    "sentence": {
        "LSTM": "At rest the forget gate is σ(b) = {gate}: half of what is held is "
        "gone after {half} steps. At the end the cell holds {held} and shows {shown}. "
        "Of a gradient at step {T}, {direct} comes back to step 1 along the direct "
        "path, the forget gates alone, and {total} in total: it {fate}.",
        "GRU": "At rest the update gate is σ(b) = {gate}: half of what is held is gone "
        "after {half} steps. At the end the unit holds {held}. Of a gradient at step "
        "{T}, {direct} comes back to step 1 along the direct path, the update gates "
        "alone, and {total} in total: it {fate}.",
        "RNN": "A step back multiplies a gradient by W (1 − h²): by {rest} where h is "
        "0, and by {end} at the last step, where h is {held}. Of a gradient at step "
        "{T}, {total} comes back to step 1: it {fate}.",
    },
    "picture": "The state of one {model} unit over {T} steps, its gates, and what is "
    "left of a gradient at each step.",
    "still": "One unit with its weights in your hands: it needs scripts, which run on "
    "the book's site and in JupyterLab. The picture shows where it begins.",
}

#: Room for the explorable, by its width in pixels.
HEIGHT = {0: "86rem", 330: "78rem", 460: "68rem", 620: "55rem", 740: "51rem"}


def cell(
    model: str = "LSTM",
    preset: str = "keras",
    *,
    write: Iterable[int] = (4, 12),
    erase: Iterable[int] = (18,),
    steps: int = 24,
    block: str | None = None,
    words: Mapping[str, Any] | None = None,
) -> Explorable:
    """Show one unit, whose weights the reader moves and whose input the reader sets.

    The unit reads two features, which are 1 at the steps of "write" and "erase". Below
    its state and its gates stand two derivatives of the last state with respect to the
    earlier ones, as `jacobians` has them: along the forget gates alone, and in total.

    Args:
        model: "LSTM", "GRU" or "RNN"; the reader may switch.
        preset: the weights to begin with, a key of `PRESETS[model]`.
        write: steps at which to write, from 1 to `steps`.
        erase: steps at which to erase.
        steps: how many there are.
        block: whose weights the sliders move at first; the gate that keeps, if None.
        words: texts to use instead of those in `WORDS`, by the same names.

    Returns:
        the explorable; as the result of a cell it shows itself.

    Raises:
        ValueError: an unknown model, preset, block or name of a text, or a step outside
            of the sequence.

    Example:
        >>> from unrolled.explorables import cell
        >>> cell("LSTM", "latch").data["presets"]["LSTM"]["latch"]["g"]
        [0, 20, 0, 0]
    """
    if model not in PRESETS:
        raise ValueError(f"model is {model!r}; expected one of {list(PRESETS)}")
    if preset not in PRESETS[model]:
        names = list(PRESETS[model])
        raise ValueError(f"preset is {preset!r}; expected one of {names}")
    blocks = CELLS[model].block_names
    block = KEEPS.get(model, "h") if block is None else block
    if block not in blocks:
        raise ValueError(f"block is {block!r}; expected one of {list(blocks)}")
    check_integer("steps", steps, 2)
    marks = {"write": list(write), "erase": list(erase)}
    for name, which in marks.items():
        if any(check_integer(name, t, 1) > steps for t in which):
            raise ValueError(f"{name} is {which}; expected steps from 1 to {steps}")
    if unknown := set(words or {}) - set(WORDS):
        raise ValueError(f"words has {sorted(unknown)}; expected names of WORDS")
    texts = {**WORDS, **(words or {})}
    texts["picture"] = texts["picture"].format(model=model, T=steps)
    run = run_unit(model, PRESETS[model][preset], marks["write"], marks["erase"], steps)
    return Explorable(
        "cell.js",
        {
            "model": model,
            "preset": preset,
            "block": block,
            "steps": steps,
            "presets": PRESETS,
            **marks,
        },
        picture=_draw(model, run),
        words=texts,
        sentence=texts["still"],
        height=HEIGHT,
    )


def run_unit(
    model: str, weights: Weights, write: Iterable[int], erase: Iterable[int], steps: int
) -> Arrays:
    """Run one unit with the package, in double precision.

    Args:
        model: "LSTM", "GRU" or "RNN".
        weights: for each block the bias, then the weights of write, erase and h.
        write: steps at which the first feature is 1, counted from 1.
        erase: steps at which the second one is.
        steps: how many steps to run.

    Returns:
        arrays `(steps,)` by name: the gates, "h", for an LSTM "c"; "total", the
        derivative of the last state with respect to that of each step; and, for cells
        with a gate that keeps, "direct", the product of the later ones.
    """
    layer = CELLS[model](1, 2, dtype="float64")
    table = np.array([list(weights[name]) for name in layer.block_names], float)
    bias = table[:, 0]
    if model == "GRU":
        bias = np.stack([bias, np.zeros_like(bias)])  # the second bias stays 0
    layer.set_weights([table[:, 1:3].T, table[None, :, 3], bias])
    x = np.zeros((1, steps, 2))
    for feature, marked in enumerate((write, erase)):
        x[0, [t - 1 for t in marked], feature] = 1
    J = jacobians(layer, x)
    run = {name: a[0, :, 0] for name, a in layer.activations().items()}
    run["total"] = (J.h if J.c is None else J.c)[1:, 0, 0, 0]
    if model in KEEPS:
        later = np.append(run[KEEPS[model]][1:], 1)
        run["direct"] = np.cumprod(later[::-1])[::-1]
    return run


def _draw(model: str, run: Mapping[str, Array]) -> bytes:
    """Draw the still, as PNG: what the explorable shows first, in symbols alone."""
    from matplotlib.figure import Figure  # here, because it takes half a second
    from PIL import Image

    blue, orange = "#004C8C", "#C04F00"
    state = "c" if model == "LSTM" else "h"
    gates = [name for name in CELLS[model].block_names if name != "h"]
    steps = np.arange(1, len(run["h"]) + 1)
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    heights = [3, *[1] * len(gates), 3]
    axes = figure.subplots(len(heights), sharex=True, height_ratios=heights)
    axes[0].step(steps, run[state], where="mid", color=blue, linewidth=2)
    axes[0].set_ylabel(f"${state}_t$", rotation=0, labelpad=12)
    axes[0].axhline(0, color="0.8", linewidth=0.8, zorder=0)
    for ax, name in zip(axes[1:], gates, strict=False):
        ax.bar(steps, run[name], width=0.9, color="0.35")
        ax.set(ylim=(-1, 1) if name == "g" else (0, 1), yticks=[])
        ax.set_ylabel(f"${name}_t$", rotation=0, labelpad=12, va="center")
    size, name = np.abs(run["total"]), rf"$d{state}_T/d{state}_t$"
    axes[-1].plot(steps, np.maximum(size, 1e-30), color=orange, lw=2, label=name)
    if "direct" in run:
        name = rf"$\prod {KEEPS[model]}$"
        axes[-1].plot(steps, run["direct"], "--", color="0.25", label=name)
    axes[-1].set(yscale="log", xlabel="$t$")
    axes[-1].set_ylim(bottom=max(axes[-1].get_ylim()[0], 1e-8))
    axes[-1].legend(frameon=False, fontsize="small")
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    made, small = io.BytesIO(), io.BytesIO()
    figure.savefig(made, dpi=110)
    # A few colours are enough for lines and words, and make a third of the file.
    Image.open(made).convert("RGB").quantize(24).save(small, "PNG", optimize=True)
    return small.getvalue()
