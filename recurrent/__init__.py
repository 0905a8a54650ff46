"""The code that *Gates & Gradients* teaches, importable: small modules, plain NumPy."""

from recurrent.answers import expect_answer, expect_close, expect_gradient
from recurrent.compose import Bidirectional, Stack
from recurrent.data import load_mnist
from recurrent.dense import Dense, Dropout
from recurrent.figures import COLORS, draw_baseline, draw_runs, use_style
from recurrent.gradcheck import gradcheck
from recurrent.gru import GRU
from recurrent.jacobians import jacobians
from recurrent.ledger import read_ledger, record_claim
from recurrent.lstm import LSTM
from recurrent.measure import (
    base_seed,
    lies_above,
    mean_interval,
    reach,
    shown_above,
)
from recurrent.model import SequenceClassifier, SequenceRegressor
from recurrent.optimizers import SGD, Adam, clip_by_global_norm
from recurrent.peephole import PeepholeLSTM
from recurrent.reber import continual_reber
from recurrent.results import guard, how_many, say
from recurrent.rnn import RNN
from recurrent.tasks import (
    adding_problem,
    copy_memory,
    digit_sum,
    latch,
    marker_at_start,
    temporal_order,
)

__all__ = [
    "COLORS",
    "GRU",
    "LSTM",
    "RNN",
    "SGD",
    "Adam",
    "Bidirectional",
    "Dense",
    "Dropout",
    "PeepholeLSTM",
    "SequenceClassifier",
    "SequenceRegressor",
    "Stack",
    "adding_problem",
    "base_seed",
    "clip_by_global_norm",
    "continual_reber",
    "copy_memory",
    "digit_sum",
    "draw_baseline",
    "draw_runs",
    "expect_answer",
    "expect_close",
    "expect_gradient",
    "gradcheck",
    "guard",
    "how_many",
    "jacobians",
    "latch",
    "lies_above",
    "load_mnist",
    "marker_at_start",
    "mean_interval",
    "reach",
    "read_ledger",
    "record_claim",
    "say",
    "shown_above",
    "temporal_order",
    "use_style",
]
