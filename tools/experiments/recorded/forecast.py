"""The networks of page 4.12 with more training, on two parts of the series.

RNN, LSTM and GRU at equal parameters read hourly traffic and, at every hour, forecast
the next 24: once from flow and clock, once from the deviations from the mean of the
week. "autumn" is the test of the page, "summer" the months that were looked at while it
was planned, forecast from all that lies before. Each network is measured after 300, 900
and 1,800 updates; a search like the page's chooses a rate for each of these, and five
new networks follow. Scores of the search are on the weeks before the test.
"""

import functools

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from unrolled import GRU, LSTM, RNN, Adam, SequenceQuantileRegressor
from unrolled.course.forecast import rolling_origins, scaled_errors, seasonal_scale
from unrolled.course.search import place_of_best, rates_beyond
from unrolled.tasks import load_traffic

EARLY = 10  # updates that a test repeats
WEEK, H = 168, 24
PIECE, BATCH = 96, 16  # hours; pieces per update
BUDGETS = (300, 900, 1800)
FOLDS = {"autumn": (43, 52, 69), "summer": (70, 78, 103)}  # weeks: ends of the parts
FIRST = {"clock": (0.003, 0.01, 0.03), "deviations": (0.001, 0.003, 0.01)}
LAYERS = {"LSTM": (LSTM, 32), "GRU": (GRU, 37), "RNN": (RNN, 70)}
TRIALS, SEEDS = (1000, 1001), (0, 1, 2, 3, 4)


def cases(rows):
    """All cases that are known after `rows`: a search tells which come next."""
    return [
        {"fold": fold, "form": form, "model": model, **rest}
        for fold in FOLDS
        for form in FIRST
        for model in LAYERS
        for rest in cases_of(fold, form, model, rows)
    ]


def cases_of(fold, form, model, rows):
    """Rate, trial and seed of the networks of one kind."""
    errors = {}  # rate → MASE after each budget, one row per trial
    for row in rows:
        kind = (row["fold"], row["form"], row["model"], row["trial"])
        if kind == (fold, form, model, "search"):
            measured = [float(row[f"mase_{b}"]) for b in BUDGETS]
            errors.setdefault(float(row["rate"]), []).append(measured)
    tried, chosen = list(FIRST[form]), []
    while all(len(errors.get(rate, [])) == len(TRIALS) for rate in tried):
        means = np.mean([errors[rate] for rate in tried], axis=1)  # rates, budgets
        best = [place_of_best(column) for column in -means.T]
        new = rates_beyond(tried, best)
        if not new:
            chosen = sorted({tried[k] for k in best})
            break
        tried = sorted([*tried, *new])
    stages = ("search", tried, TRIALS), ("final", chosen, SEEDS)
    return [
        {"rate": rate, "trial": trial, "seed": seed}
        for trial, rates, seeds in stages
        for rate in rates
        for seed in seeds
    ]


@functools.cache
def load():
    """The series, hours of the week, and what the clock says of each hour."""
    traffic = load_traffic()
    since = traffic.hours.astype(int)
    hour, weekday = since % 24, (since // 24 + 3) % 7
    turn = 2 * np.pi * hour / 24
    waves = [np.sin(turn), np.cos(turn), np.sin(2 * turn), np.cos(2 * turn)]
    return traffic, 24 * weekday + hour, np.column_stack([*waves, np.eye(7)[weekday]])


def week_mean(end):
    """Mean of each hour of the week before `end`, as a series: (hours,)."""
    traffic, slot, _ = load()
    counted = ~traffic.missing[:end]
    flow, at = traffic.flow[:end][counted], slot[:end][counted]
    return (np.bincount(at, flow) / np.bincount(at))[slot]


def measure(forecast, when, start):
    """MASE of each horizon: (H,)."""
    traffic = load()[0]
    y, missing = traffic.flow, traffic.missing
    scale = seasonal_scale(y[:start], WEEK, missing[:start])
    return np.nanmean(scaled_errors(forecast, y[when], scale, missing[when]), axis=0)


@functools.cache
def references(fold, trial):
    """MASE of last week, of the mean of the week, and of the autoregression."""
    import statsmodels.api as sm  # here, because it takes a second

    past, when, start = part(fold, trial)
    y, mean = load()[0].flow, week_mean(past)
    rest = y - mean
    lags = sliding_window_view(rest, 48)  # the oldest first
    at = np.arange(47, past - 1)
    design = sm.add_constant(lags[at - 47])
    c, *weights = sm.QuantReg(rest[at + 1], design).fit(q=0.5, p_tol=1e-4).params
    window, steps = lags[when[:, 0] - 48], []
    for _ in range(H):
        steps.append(c + window @ weights)
        window = np.column_stack([window[:, 1:], steps[-1]])
    forecasts = {
        "last_week": y[when - WEEK],
        "week_mean": mean[when],
        "classical": mean[when] + np.stack(steps, axis=1),
    }
    scores = {name: measure(f, when, start).mean() for name, f in forecasts.items()}
    return {name: round(float(score), 4) for name, score in scores.items()}


def part(fold, trial):
    """Where the past ends, the hours to forecast, and where the test begins."""
    train_end, start, end = (WEEK * week for week in FOLDS[fold])
    if trial == "search":
        return train_end, rolling_origins(train_end, start, H), start
    return start, rolling_origins(start, end, H), start


def run(case, updates=None):
    """Train one network; with `updates`, which is EARLY, only so far."""
    past, when, start = part(case["fold"], case["trial"])
    y, clock = load()[0].flow, load()[2]
    mean = week_mean(past)
    expected = (
        mean if case["form"] == "deviations" else np.full(len(y), y[:past].mean())
    )
    unit = (y - expected)[:past].std()
    x = np.column_stack([(y - expected) / unit, clock]).astype("float32")
    targets = sliding_window_view(x[:, 0], H)[1:]
    layer, units = LAYERS[case["model"]]
    network = SequenceQuantileRegressor(
        layer(units),
        H,
        return_sequences=True,
        optimizer=Adam(case["rate"], global_clipnorm=1.0),
        seed=case["seed"],
    )
    rng = np.random.default_rng([412, case["seed"]])
    first = when[0, 0] - 1 - 2 * WEEK  # two weeks to warm up
    early, results = [], {}
    for done in range(1, (updates or BUDGETS[-1]) + 1):
        rows = rng.integers(past - H - PIECE + 1, size=(BATCH, 1)) + np.arange(PIECE)
        step = network.train_on_batch(x[rows], targets[rows])
        if done <= EARLY:
            early.append(step["loss"])
        if done in BUDGETS:
            outputs = network.predict(x[None, first : when[-1, 0]])[0, 2 * WEEK :]
            forecast = expected[when] + unit * outputs[..., 1]
            mase = measure(forecast, when, start)
            results[f"mase_{done}"] = round(float(mase.mean()), 4)
            results[f"mase_1h_{done}"] = round(float(mase[0]), 4)
            results[f"mase_24h_{done}"] = round(float(mase[-1]), 4)
    results = {"early_loss": round(float(np.mean(early)), 6)} | results
    return results | (references(case["fold"], case["trial"]) if not updates else {})
