"""What the pages of the book need: answers, figures, measurements, the ledger."""

from unrolled.course.answers import (
    expect_answer,
    expect_close,
    expect_gradient,
    say_right,
    solution,
)
from unrolled.course.figures import COLORS, draw_baseline, draw_runs, use_style
from unrolled.course.ledger import read_ledger, record_claim
from unrolled.course.measure import (
    base_seed,
    beside_zero,
    lies_above,
    mean_interval,
    measure_effect,
    outcome,
)
from unrolled.course.results import as_table, at_most, guard, how_many, in_short, say

__all__ = [
    "COLORS",
    "as_table",
    "at_most",
    "base_seed",
    "beside_zero",
    "draw_baseline",
    "draw_runs",
    "expect_answer",
    "expect_close",
    "expect_gradient",
    "guard",
    "how_many",
    "in_short",
    "lies_above",
    "mean_interval",
    "measure_effect",
    "outcome",
    "read_ledger",
    "record_claim",
    "say",
    "say_right",
    "solution",
    "use_style",
]
