"""Check gradients: every entry of every parameter against a central difference."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from unrolled.checks import (
    check_array,
    check_between,
    check_integer,
    check_positive,
    check_tuple,
)
from unrolled.generators import get_states, set_states
from unrolled.layer import Layer
from unrolled.model import SequenceModel
from unrolled.types import Array, Arrays, States

MARGIN = 10  # differences may be this much further off than they seem to be


class Checked(NamedTuple):
    """The gradient of one parameter, checked.

    Attributes:
        name: of a weight, "x", or "initial h" and the like.
        shape: shape of the parameter.
        error: ‖analytic − numeric‖ / (‖analytic‖ + ‖numeric‖), see `gradcheck`.
        passed: whether the error is below the tolerance.
    """

    name: str
    shape: tuple[int, ...]
    error: float
    passed: bool


class Report(list[Checked]):
    """A list with one `Checked` per parameter; printed, it is a table."""

    @property
    def passed(self) -> bool:
        """Whether every parameter passed."""
        return all(row.passed for row in self)

    @property
    def worst(self) -> float:
        """The largest error."""
        return max(row.error for row in self)

    def __str__(self) -> str:
        width = max(len(row.name) for row in self)
        return "\n".join(
            f"{row.name:{width}}  {row.shape!s:14}  {row.error:.1e}  "
            + ("ok" if row.passed else "WRONG")
            for row in self
        )


def gradcheck(
    layer: Layer | SequenceModel,
    x: npt.ArrayLike,
    initial_state: States | None = None,
    *,
    y: npt.ArrayLike | None = None,
    return_sequences: bool = True,
    training: bool = False,
    step: float = 1e-5,
    tolerance: float = 1e-7,
    seed: int = 0,
) -> Report:
    """Compare the gradients of a layer or model with central differences, in float64.

    The loss of a layer is the sum of everything that it returns, each entry times a
    random number; a model brings its own loss. A copy is checked: nothing changes.

    Args:
        layer: any layer, or a `SequenceModel`.
        x: its input, `(batch, time, features)`.
        initial_state: a tuple as the layer takes it; random if None. Not for models.
        y: targets; only for models.
        return_sequences: as in `forward`. Not for models.
        training: whether dropout is on, with the same mask each time.
        step: how far each entry is moved, up and down. The error of the difference is
            about step², and that of rounding about 1e-16 / step, if inputs and weights
            are about 1. If a gradient seems wrong with this step, larger and smaller
            ones are tried, and the one whose differences change least with it counts.
        tolerance: the error from which a gradient counts as wrong.
        seed: of the random numbers.

    Returns:
        `Report`: one row for x, for each initial state, and for each weight. Where a
        gradient is so small that the difference's own error would count as wrong, the
        reported error is relative to that error instead, so that noise passes.

    Raises:
        ValueError: as `forward`, or numbers out of range.

    Example:
        >>> import numpy as np
        >>> from unrolled import RNN, gradcheck
        >>> report = gradcheck(RNN(3), np.random.default_rng(0).normal(size=(2, 4, 5)))
        >>> for row in report:
        ...     print(row.name, row.shape, "ok" if row.passed else "WRONG")
        x (2, 4, 5) ok
        initial h (2, 3) ok
        kernel (5, 3) ok
        recurrent_kernel (3, 3) ok
        bias (3,) ok
        >>> report.worst < 1e-8
        True
    """
    step = check_between("step", step, 1e-12, 1)
    tolerance = check_positive("tolerance", tolerance)
    seed = check_integer("seed", seed, 0)
    problem: LayerProblem | ModelProblem
    if isinstance(layer, SequenceModel):
        if initial_state is not None:
            raise ValueError(
                "initial_state is given; expected None, as layer is a model"
            )
        problem = ModelProblem(layer, x, y, training)
    else:
        if not isinstance(layer, Layer):
            raise ValueError(
                f"layer is {type(layer).__name__}; expected a layer or a model"
            )
        if y is not None:
            raise ValueError("y is given; expected None, as layer is not a model")
        problem = LayerProblem(
            layer, x, initial_state, return_sequences, training, seed
        )

    report = Report()
    for name, parameter in problem.parameters.items():
        numeric = central_differences(problem, parameter, step)
        error = relative_error(problem.gradients[name], numeric)
        if not error < tolerance:
            numeric, noise = best_differences(problem, parameter, step)
            smallest = MARGIN * noise / tolerance
            error = relative_error(problem.gradients[name], numeric, smallest)
        report.append(Checked(name, numeric.shape, error, error < tolerance))
    return report


def relative_error(analytic: Array, numeric: Array, smallest: float = 0.0) -> float:
    """Compute ‖analytic − numeric‖ / (‖analytic‖ + ‖numeric‖).

    Args:
        analytic: a gradient by backpropagation.
        numeric: the same by differences.
        smallest: what to divide by if the sum of the norms is smaller.

    Returns:
        the error; 0 if both gradients are 0.
    """
    size = float(np.linalg.norm(analytic) + np.linalg.norm(numeric))
    return float(
        np.linalg.norm(analytic - numeric)
        / max(size, smallest, float(np.finfo(float).tiny))
    )


def best_differences(
    problem: "LayerProblem | ModelProblem", parameter: Array, step: float
) -> tuple[Array, float]:
    """Try steps of many sizes; return the differences that depend least on the step.

    With a step too large, the function is not straight between its two ends, and
    differences of neighbouring steps disagree. With one too small, rounding counts,
    which is about 1e-16 of the outputs, divided by the step. The analytic gradient has
    no say in the choice.

    Args:
        problem: what to differentiate.
        parameter: one of `problem.parameters`.
        step: among the steps to try, of which each is ten times as large as the last.

    Returns:
        `(numeric, noise)`: the differences, and how far off they may be, as a norm.
    """
    lost = 1e-11 * np.abs(parameter).max()  # what is smaller is lost in the parameter
    steps = step * 10.0 ** np.arange(-10, 9)
    steps = steps[steps > lost]
    with np.errstate(all="ignore"):  # far too large a step may overflow
        tried = np.array([central_differences(problem, parameter, s) for s in steps])
        pairs = zip(problem.factors, problem.outputs(), strict=True)
        outputs = np.sum([np.abs(factor * out).sum() for factor, out in pairs])
        rounding = np.finfo(float).eps * outputs * np.sqrt(parameter.size) / steps
        axes = tuple(range(1, tried.ndim))
        changes = np.sqrt(np.sum(np.diff(tried, axis=0) ** 2, axis=axes))
        noise = np.nan_to_num(changes + rounding[:-1], nan=np.inf)
        share = noise / np.sqrt(np.sum(tried[:-1] ** 2, axis=axes))
    share = np.nan_to_num(share, nan=np.inf)
    # If no step shows more than noise, the gradient is 0 as far as one can see.
    best = int(np.argmin(share if share.min() < 0.01 else noise))
    return tried[best], float(noise[best])


def central_differences(
    problem: "LayerProblem | ModelProblem", parameter: Array, step: float
) -> Array:
    """Compute (L(p + step) − L(p − step)) / (2 step) for each entry p of a parameter.

    Args:
        problem: what to differentiate.
        parameter: one of `problem.parameters`, moved in place and put back.
        step: how far to move each entry.

    Returns:
        the differences, in the shape of the parameter.
    """
    numeric = np.empty_like(parameter)
    for index in np.ndindex(parameter.shape):
        value = parameter[index]
        parameter[index] = value + step
        above = problem.outputs()
        parameter[index] = value - step
        below = problem.outputs()
        parameter[index] = value
        # Outputs are subtracted before they are summed: less is lost to rounding.
        numeric[index] = sum(
            (factor * (a - b)).sum()
            for factor, a, b in zip(problem.factors, above, below, strict=True)
        )
    return numeric / (2 * step)


class LayerProblem:
    """A layer, with the weighted sum of all that it returns as its loss.

    Attributes:
        parameters: input, initial states and weights, by name: to be moved in place.
        gradients: of the loss for each of them, by backpropagation.
        factors: what each output is multiplied by in the loss.
    """

    def __init__(
        self,
        layer: Layer,
        x: npt.ArrayLike,
        initial_state: States | None,
        return_sequences: bool,
        training: bool,
        seed: int,
    ) -> None:
        rng = np.random.default_rng(seed)
        self.layer = layer = layer.astype("float64")
        self.options = {"return_sequences": return_sequences, "training": training}
        x = check_array("x", x, (..., "features"), float).copy()
        _, states = layer.forward(x)  # builds the weights, and refuses a wrong x
        if (
            layer.networks and x.ndim == 3
        ):  # an input for each network: one gradient each
            x = np.tile(x, (layer.networks, 1, 1, 1))
        if initial_state is None:
            initial_state = tuple(rng.normal(size=s.shape) for s in states)
        self.x = x
        states_given = check_tuple("initial_state", initial_state, layer.state_names)
        self.initial_state = tuple(
            check_array(f"initial_state[{k}]", given, s.shape, float).copy()
            for k, (given, s) in enumerate(zip(states_given, states, strict=True))
        )
        self.random_states = get_states(layer.rngs)

        self.factors = [rng.normal(size=out.shape) for out in self.outputs()]
        dout, *dstate = self.factors
        dx, dinitial, gradients = layer.backward(dout, tuple(dstate))
        names = [f"initial {name}" for name in layer.state_names]
        self.parameters: Arrays = {
            "x": self.x,
            **dict(zip(names, self.initial_state, strict=True)),
            **layer.weights,
        }
        self.gradients: dict[str, Any] = {
            "x": dx,
            **dict(zip(names, dinitial, strict=True)),
            **gradients,
        }

    def outputs(self) -> list[Array]:
        """Run the layer with its parameters as they now are."""
        set_states(self.layer.rngs, self.random_states)  # the same dropout masks
        out, state = self.layer.forward(self.x, self.initial_state, **self.options)
        return [out, *state]


class ModelProblem:
    """A model, with its own loss; see `LayerProblem`."""

    def __init__(
        self,
        model: SequenceModel,
        x: npt.ArrayLike,
        y: npt.ArrayLike | None,
        training: bool,
    ) -> None:
        if y is None:
            raise ValueError("y is None; expected targets, as layer is a model")
        self.model = model = model.astype("float64")
        self.x, self.y = model._check_data(x, y).arrays
        self.training = training
        self.random_states = get_states(model.rngs)

        (loss,) = self.outputs()
        self.factors = [np.ones_like(loss)]
        set_states(model.rngs, self.random_states)
        _, self.gradients, _ = model.loss_and_gradients(
            self.x, self.y, training=training
        )
        self.parameters = model.weights

    def outputs(self) -> list[Array]:
        """Compute the loss of each network with the weights as they now are."""
        set_states(self.model.rngs, self.random_states)  # the same dropout masks
        outputs = self.model._outputs(self.x, self.y, training=self.training)
        loss, _ = self.model.loss(outputs, self.y)
        return [np.asarray(loss)]
