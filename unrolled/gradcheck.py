"""Is the gradient right? Every entry of every parameter against central differences."""

import copy
import typing

import numpy as np

from unrolled.checks import check_array, check_between
from unrolled.layer import list_generators
from unrolled.model import SequenceModel


class Checked(typing.NamedTuple):
    """One parameter's gradient, checked.

    Attributes:
        name: of the weight, "x", or "initial h" and the like.
        shape: of the parameter.
        error: ‖analytic − numeric‖ / (‖analytic‖ + ‖numeric‖).
        passed: whether the error is below the tolerance.
    """

    name: str
    shape: tuple
    error: float
    passed: bool


class Report(list):
    """A list of `Checked`, one a parameter; printed, it is a table."""

    @property
    def passed(self):
        """Whether every parameter passed."""
        return all(row.passed for row in self)

    @property
    def worst(self):
        """The largest error."""
        return max(row.error for row in self)

    def __str__(self):
        width = max(len(row.name) for row in self)
        return "\n".join(
            f"{row.name:{width}}  {row.shape!s:14}  {row.error:.1e}  "
            + ("ok" if row.passed else "WRONG")
            for row in self
        )


def gradcheck(
    layer,
    x,
    initial_state=None,
    *,
    y=None,
    return_sequences=True,
    training=False,
    step=1e-5,
    tolerance=1e-7,
    seed=0,
):
    """Compare a layer's (or model's) gradients with central differences, in float64.

    The loss of a layer is a sum of all it returns, each entry times a random number; a
    model brings its own. What is checked is a copy: nothing changes.

    Args:
        layer: any layer, or a `SequenceModel`.
        x: its input, `(batch, time, features)`.
        initial_state: a tuple as the layer takes it; random if None. Not for models.
        y: the targets, for a model only.
        return_sequences: as in `forward`. Not for models.
        training: with dropout, the same mask each time.
        step: each entry is moved by so much, up and down: the error of the difference
            is about step², that of rounding 1e-16 / step.
        tolerance: the largest error that passes.
        seed: of the random numbers.

    Returns:
        `Report`: one row for x, each initial state, and each weight. Where a gradient
        is below a thousandth of the largest, its error is relative to that thousandth:
        the difference's own noise would count otherwise.

    Raises:
        ValueError: as `forward`, or numbers out of range.
    """
    step = check_between("step", step, 1e-12, 1)
    if isinstance(layer, SequenceModel):
        problem = _of_model(layer, x, y, training)
    else:
        problem = _of_layer(layer, x, initial_state, return_sequences, training, seed)
    parameters, analytic, change = problem
    pairs = {
        k: (analytic[k], _differences(p, change, step)) for k, p in parameters.items()
    }
    sizes = {k: np.linalg.norm(a) + np.linalg.norm(n) for k, (a, n) in pairs.items()}
    floor = max(1e-3 * max(sizes.values()), np.finfo(float).tiny)
    report = Report()
    for name, (a, n) in pairs.items():
        error = float(np.linalg.norm(a - n) / max(sizes[name], floor))
        report.append(Checked(name, a.shape, error, error < tolerance))
    return report


def _differences(parameter, change, step):
    """(L(p + step) − L(p − step)) / 2 step, for each entry p of the parameter."""
    numeric = np.empty_like(parameter)
    for index in np.ndindex(parameter.shape):
        kept = parameter[index]

        def move(by, index=index, kept=kept):
            parameter[index] = kept + by

        numeric[index] = change(move, step)
        parameter[index] = kept
    return numeric / (2 * step)


def _of_layer(layer, x, initial_state, return_sequences, training, seed):
    """Parameters, their gradients, and L's change between two places."""
    rng = np.random.default_rng(seed)
    layer = layer.astype("float64")
    x = check_array("x", x, (..., "features"), float).copy()
    _, state = layer.forward(x)  # builds the weights, and says what is wrong with x
    if layer.networks and x.ndim == 3:  # an x for each network: a gradient for each
        x = np.tile(x, (layer.networks, 1, 1, 1))
    if initial_state is None:
        initial_state = tuple(rng.normal(size=s.shape) for s in state)
    initial_state = tuple(np.array(s, dtype=float) for s in initial_state)
    same_masks = _repeatable(layer)

    def outputs():
        same_masks()
        how = {"return_sequences": return_sequences, "training": training}
        out, state = layer.forward(x, initial_state, **how)
        return [out, *state]

    factors = [rng.normal(size=out.shape) for out in outputs()]
    dx, dstate, gradients = layer.backward(factors[0], tuple(factors[1:]))

    def change(move, step):
        move(step)
        above = outputs()
        move(-step)
        # Outputs are subtracted before they are summed: less is lost to rounding.
        return sum(
            (factor * (a - b)).sum()
            for factor, a, b in zip(factors, above, outputs(), strict=True)
        )

    names = [f"initial {name}" for name in layer.state_names]
    parameters = {"x": x, **dict(zip(names, initial_state, strict=True))}
    analytic = {"x": dx, **dict(zip(names, dstate, strict=True))}
    return parameters | layer.weights, analytic | gradients, change


def _of_model(model, x, y, training):
    """The same for a model, whose loss is its own."""
    if y is None:
        raise ValueError("y is None; expected targets, as layer is a model")
    model = copy.deepcopy(model)
    for part in (model.body, model.head):
        part._cast(np.dtype("float64"))
    data = model._check_data(x, y)
    x, y = data.x, data.y
    same_masks = _repeatable(model)

    def loss():
        same_masks()
        loss, gradients, _ = model.loss_and_gradients(x, y, training=training)
        return np.sum(loss), gradients

    def change(move, step):
        move(step)
        above, _ = loss()
        move(-step)
        return above - loss()[0]

    return model.weights, loss()[1], change


def _repeatable(layer):
    """A function that puts the layer's random generators back to where they are now."""
    rngs = list_generators(layer.rngs)
    states = [rng.bit_generator.state for rng in rngs]

    def put_back():
        for rng, state in zip(rngs, states, strict=True):
            rng.bit_generator.state = state

    return put_back
