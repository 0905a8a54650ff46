"""The same digits cut into 28 steps and into 7: all of MNIST, to near convergence.

Page 4.6 shows it. LSTM(64), an RNN of equal units, an RNN and a GRU of equal
parameters, after 300 updates, 1,000, 3,000 and 9,000 (batches of 64, ten times through
the digits); then the curves are nearly flat.
"""

from tools.experiments import digits

FULL_MNIST = True  # what the test needs to repeat a row
EARLY = digits.EARLY

STUDY = digits.Study(
    settings=((28, "reading"), (7, "reading")),
    units=64,
    names=("LSTM", "RNN equal parameters", "RNN equal units", "GRU equal parameters"),
    budgets=(300, 1000, 3000, 9000),
    seeds=(0, 1, 2, 3, 4),
)
load_digits, cases, run = digits.load_digits, STUDY.cases, STUDY.run
