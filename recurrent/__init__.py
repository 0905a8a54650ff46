"""The code that *Gates & Gradients* teaches, importable: small modules, plain NumPy."""

from recurrent.data import load_mnist
from recurrent.figures import COLORS, draw_baseline, draw_runs, use_style
from recurrent.measure import base_seed, mean_interval, reach

__all__ = [
    "COLORS",
    "base_seed",
    "draw_baseline",
    "draw_runs",
    "load_mnist",
    "mean_interval",
    "reach",
    "use_style",
]
