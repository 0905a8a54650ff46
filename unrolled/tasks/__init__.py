"""Sequences to train on: MNIST, and tasks whose answer lies many steps back."""

from unrolled.tasks.dates import dates
from unrolled.tasks.mnist import load_mnist
from unrolled.tasks.reber import continual_reber
from unrolled.tasks.series import load_traffic
from unrolled.tasks.synthetic import (
    Task,
    adding_problem,
    copy_memory,
    digit_sum,
    latch,
    marker_at_start,
    one_hot,
    temporal_order,
)
from unrolled.tasks.text import Alphabet, load_text

__all__ = [
    "Alphabet",
    "Task",
    "adding_problem",
    "continual_reber",
    "copy_memory",
    "dates",
    "digit_sum",
    "latch",
    "load_mnist",
    "load_text",
    "load_traffic",
    "marker_at_start",
    "one_hot",
    "temporal_order",
]
