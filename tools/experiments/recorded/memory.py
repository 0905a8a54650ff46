"""The adding problem at longer lags and with a larger budget than page 4.7 can afford.

The page's own networks (16 units, batches of 32, Adam, clipping, every sequence new) at
T = 50, 100, 200. Each is looked at every 100 updates and stops when it has solved the
task, or when the budget is spent. The RNN gets three learning rates, the others one.
"""

import numpy as np

from unrolled import GRU, LSTM, RNN, Adam, SequenceRegressor
from unrolled.tasks import adding_problem

EARLY = 10  # updates that a test repeats
LENGTHS = (50, 100, 200)
RATES = {"RNN": (0.001, 0.003, 0.01), "LSTM": (0.01,), "GRU": (0.01,)}
LAYERS = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}
UNITS, BATCH, LOOK, BUDGET = 16, 32, 100, 3000
SOLVED = 1 / 24  # test loss: half of what knowing the first number gives

CASES = [
    {"T": T, "model": model, "rate": rate, "seed": seed}
    for T in LENGTHS
    for model, rates in RATES.items()
    for rate in rates
    for seed in range(5)
]


def run(case, updates=None):
    """Train one network; None: until it has solved the task or the budget is spent."""
    rng = np.random.default_rng([7, case["T"], case["seed"]])
    test = adding_problem(500, case["T"], rng)
    network = SequenceRegressor(
        LAYERS[case["model"]](UNITS),
        outputs=1,
        optimizer=Adam(case["rate"], global_clipnorm=1.0),
        seed=case["seed"],
    )
    early, loss, done, budget = [], np.inf, 0, updates or BUDGET
    while done < budget and not loss < SOLVED:
        task = adding_problem(BATCH * LOOK, case["T"], rng)
        for k in range(0, BATCH * min(LOOK, budget - done), BATCH):
            batch = slice(k, k + BATCH)
            step = network.train_on_batch(task.x[batch], task.y[batch])
            if done < EARLY:
                early.append(step["loss"])
            done += 1
        if updates is None:
            loss = float(network.evaluate(test.x, test.y, batch_size=250))
    results = {"early_loss": round(float(np.mean(early)), 6)}
    if updates is None:
        results |= {"loss": round(loss, 6), "updates": done, "solved": loss < SOLVED}
    return results
