"""Recurrent networks in plain NumPy, with Keras's weights, gate order and words.

`unrolled` holds the networks, `unrolled.tasks` the sequences to train them on, and
`unrolled.course` what the pages of *Gates & Gradients* need besides.
"""

from unrolled.attention import Attention, PositionalEncoding
from unrolled.compose import Bidirectional, Stack
from unrolled.dense import Dense, Dropout
from unrolled.generation import generate, sample
from unrolled.gradcheck import gradcheck
from unrolled.gru import GRU
from unrolled.jacobians import jacobians, reach
from unrolled.lstm import LSTM
from unrolled.model import (
    SequenceClassifier,
    SequenceQuantileRegressor,
    SequenceRegressor,
)
from unrolled.optimizers import SGD, Adam, clip_by_global_norm
from unrolled.peephole import PeepholeLSTM
from unrolled.rnn import RNN
from unrolled.seq2seq import EncoderDecoder

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "SGD",
    "Adam",
    "Attention",
    "Bidirectional",
    "Dense",
    "Dropout",
    "EncoderDecoder",
    "PeepholeLSTM",
    "PositionalEncoding",
    "SequenceClassifier",
    "SequenceQuantileRegressor",
    "SequenceRegressor",
    "Stack",
    "clip_by_global_norm",
    "generate",
    "gradcheck",
    "jacobians",
    "reach",
    "sample",
]
