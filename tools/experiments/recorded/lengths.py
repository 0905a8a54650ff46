"""The same digits cut into more and shorter steps: all of MNIST, to near convergence.

Page 4.6 shows it. LSTM(64), and an RNN and a GRU of equal units and of equal
parameters, on digits in 7, 28 and 112 steps, after 300 updates, 1,000, 3,000 and 9,000
(batches of 64, ten times through the digits); then the curves are nearly flat.
"""

from tools.experiments import digits

FULL_MNIST = True  # what the test needs to repeat a row
EARLY = digits.EARLY

STUDY = digits.Study(
    settings=((28, "reading"), (7, "reading"), (112, "reading")),
    units=64,
    names=tuple(digits.networks(64, 28)),
    budgets=(300, 1000, 3000, 9000),
    seeds=(0, 1, 2, 3, 4),
)
load_digits, cases, run = digits.load_digits, STUDY.cases, STUDY.run
