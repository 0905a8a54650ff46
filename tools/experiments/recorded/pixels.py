"""Digits read pixel by pixel, 784 steps, in reading order and in a permuted one.

Page 4.6 shows it. LSTM(32), an RNN and a GRU of equal parameters; up to 1,800 updates
in batches of 64, twice through the digits, and one network for each rate of the search.
That is what one core can do in two hours, and far from convergence: what is published
took a hundred times through the digits and more.
"""

from tools.experiments import digits

FULL_MNIST = True  # what the test needs to repeat a row
EARLY = digits.EARLY

STUDY = digits.Study(
    settings=((784, "reading"), (784, "permuted")),
    units=32,
    names=("LSTM", "GRU equal parameters", "RNN equal parameters"),
    budgets=(200, 600, 1800),
    trials=(1000,),
    seeds=(0, 1, 2),
)
load_digits, cases, run = digits.load_digits, STUDY.cases, STUDY.run
