"""One look for every figure of the book: a colour and a line style for each model."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from unrolled.checks import read_array
from unrolled.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: The colour of each model: colour-blind readers can tell them apart, and so can those
#: of a grey print.
COLORS = {
    "RNN": "#D55E00",
    "LSTM": "#004C8C",
    "GRU": "#009E73",
    "attention": "#B0488F",
    "linear": "#7A4FA3",
    "baseline": "#6B6B6B",
}
LINES = {
    "RNN": "-",
    "LSTM": "-",
    "GRU": "-.",
    "attention": ":",
    "linear": "-",
    "baseline": "--",
}

_STYLE: dict[Any, Any] = {
    "figure.figsize": (5.4, 3.2),  # small, so that labels stay readable on a phone
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": "medium",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "font.size": 10.5,
    "legend.edgecolor": "none",
    "legend.framealpha": 1,  # so that words stay readable in front of a line
    "image.cmap": "gray_r",
    "image.interpolation": "nearest",
    "svg.hashsalt": "gates-and-gradients",  # the same figure gives the same file
}


def use_style() -> None:
    """Set the book's style for all figures that follow.

    In notebooks each figure is kept twice: as SVG, which the site shows, and as PNG,
    which JupyterLab shows if it does not trust a notebook's SVG.
    """
    import matplotlib as mpl  # here, because it takes half a second

    mpl.rcParams.update(_STYLE)
    try:
        from IPython import get_ipython
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ImportError:
        return  # a script without IPython: the style alone
    if get_ipython() is not None:
        set_matplotlib_formats("svg", "png")


def draw_runs(
    ax: "Axes",
    x: Sequence[float] | Array,
    runs: npt.ArrayLike,
    model: str,
    label: str | None = None,
) -> None:
    """Draw one thin curve per seed and their mean as a thick one, in a model's colour.

    Args:
        ax: axes to draw into.
        x: positions, `(points,)`.
        runs: values, `(seeds, points)`.
        model: a key of `COLORS`.
        label: legend entry of the mean; `model` by default.

    Raises:
        ValueError: unknown model, or shapes that do not match.
    """
    runs = read_array("runs", runs).astype(float)
    if model not in COLORS:
        raise ValueError(f"model is {model!r}; expected one of {sorted(COLORS)}")
    if runs.ndim != 2 or runs.shape[1] != len(x):
        raise ValueError(f"runs has shape {runs.shape}; expected (seeds, {len(x)})")
    style: dict[str, Any] = {"color": COLORS[model], "linestyle": LINES[model]}
    ax.plot(x, runs.T, linewidth=0.8, alpha=0.45, **style)
    ax.plot(x, runs.mean(axis=0), linewidth=2.4, label=label or model, **style)


def draw_baseline(ax: "Axes", value: float, label: str) -> None:
    """Draw a horizontal dashed line at `value`: the score without a network.

    Args:
        ax: axes to draw into.
        value: where to draw the line.
        label: legend entry.
    """
    ax.axhline(
        value, color=COLORS["baseline"], linestyle="--", linewidth=1.4, label=label
    )
