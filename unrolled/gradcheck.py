"""Check gradients: every entry of every parameter against a central difference."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from unrolled.checks import check_array, check_between
from unrolled.generators import get_states, set_states
from unrolled.layer import Layer
from unrolled.model import SequenceModel
from unrolled.types import Array, Arrays, States


class Checked(NamedTuple):
    """The gradient of one parameter, checked.

    Attributes:
        name: of a weight, "x", or "initial h" and the like.
        shape: shape of the parameter.
        error: ‖analytic − numeric‖ / (‖analytic‖ + ‖numeric‖).
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
            about step², and that of rounding about 1e-16 / step.
        tolerance: the error from which a gradient counts as wrong.
        seed: of the random numbers.

    Returns:
        `Report`: one row for x, for each initial state, and for each weight. Where a
        gradient is smaller than a thousandth of the largest one, its error is relative
        to that thousandth: otherwise the noise of the difference itself would count.

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
    problem: LayerProblem | ModelProblem
    if isinstance(layer, SequenceModel):
        problem = ModelProblem(layer, x, y, training)
    else:
        problem = LayerProblem(
            layer, x, initial_state, return_sequences, training, seed
        )

    analytic = problem.gradients
    numeric = {
        name: central_differences(problem, parameter, step)
        for name, parameter in problem.parameters.items()
    }
    sizes = {
        name: np.linalg.norm(analytic[name]) + np.linalg.norm(numeric[name])
        for name in numeric
    }
    floor = max(1e-3 * max(sizes.values()), np.finfo(float).tiny)
    report = Report()
    for name, size in sizes.items():
        difference = np.linalg.norm(analytic[name] - numeric[name])
        error = float(difference / max(size, floor))
        report.append(Checked(name, numeric[name].shape, error, error < tolerance))
    return report


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
        self.initial_state = tuple(np.array(s, dtype=float) for s in initial_state)
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
        outputs = self.model.forward(self.x, training=self.training)
        loss, _ = self.model.loss(outputs, self.y)
        return [np.asarray(loss)]
