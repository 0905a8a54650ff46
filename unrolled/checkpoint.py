"""Save and resume training: weights, the optimiser's state, the random generators."""

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unrolled.archive import read_arrays
from unrolled.checks import check_array, check_integer, check_path
from unrolled.generators import get_states, set_states
from unrolled.types import Arrays
from unrolled.undo import undo_on_failure

if TYPE_CHECKING:
    from unrolled.model import SequenceModel


def save(model: "SequenceModel", path: str | os.PathLike[str]) -> None:
    """Write the state of a model to an npz file; see `SequenceModel.save`.

    The file appears under its name only when it is complete.
    """
    path = check_path("path", path)
    if not model.built:
        raise ValueError("the model has no weights yet; fit it or build it first")
    if path.is_dir() or not path.parent.is_dir():
        raise ValueError(
            f"path is {str(path)!r}; expected a file's name in a folder that exists"
        )
    state = get_state(model)
    for name, array in state.items():
        if name.startswith(("weights/", "slots/")) and not np.isfinite(array).all():
            raise ValueError(f"{name} holds NaN or infinity; training cannot go on")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".saving") as folder:
        part = Path(folder) / "part.npz"
        np.savez(part, **state)
        os.replace(part, path)


def load(model: "SequenceModel", path: str | os.PathLike[str]) -> None:
    """Put a model into the state that `save` wrote; see `SequenceModel.load`."""
    state = read_arrays(path)
    changed = [*model.weights.values()]
    changed += [a for slots in model.optimizer.slots.values() for a in slots]
    try:
        with undo_on_failure(changed, model._all_parts()):
            set_state(model, state)
    # A file that something else wrote can make this raise nearly anything.
    except Exception as error:
        raise ValueError(
            f"{os.fsdecode(path)!r} does not fit this model: {error}"
        ) from error


def get_state(model: "SequenceModel") -> dict[str, Any]:
    """Return everything that further training depends on, as arrays by name.

    The names are "weights/…" and "slots/…" (the optimiser's own arrays), both the
    model's own arrays, and "features". As text in JSON: "optimizer" (its settings),
    "made" (what layers and model were made with) and "rngs".
    """
    state: Arrays = {f"weights/{name}": w for name, w in model.weights.items()}
    for name, slots in model.optimizer.slots.items():
        state |= {f"slots/{name}/{k}": slot for k, slot in enumerate(slots)}
    made = [model, *model.body._all_layers(), model.head]
    return state | {
        "features": np.array(model.body.features),
        "optimizer": _to_json(_settings(model.optimizer)),
        "made": _to_json([_options(one) for one in made]),
        "rngs": _to_json(get_states(model.rngs)),
    }


def set_state(model: "SequenceModel", state: Arrays) -> None:
    """Put a model into a state that `get_state` returned; an unbuilt model is built.

    Raises:
        KeyError, TypeError, ValueError: the state does not fit. The model may then be
            half changed.
    """
    if not model.built:
        model.build(int(state["features"]))
    model.optimizer.slots = {}
    if any(name.startswith("slots/") for name in state):
        model.optimizer.make_slots(model.weights)
    current = get_state(model)
    different = sorted(current.keys() ^ state.keys())
    if different:
        raise ValueError(f"only one of the two has {', '.join(different)}")
    for name, array in current.items():
        if name.startswith(("weights/", "slots/")):
            if state[name].dtype.name != array.dtype.name:
                raise ValueError(
                    f"{name} has dtype {state[name].dtype}; expected {array.dtype}"
                )
            array[...] = check_array(name, state[name], array.shape, None)
    for name in ("features", "made"):
        if state[name] != current[name]:
            raise ValueError(f"{name} is {state[name]}; expected {current[name]}")
    settings = json.loads(str(state["optimizer"]))
    expected = _settings(model.optimizer)
    if settings.keys() != expected.keys() or settings["class"] != expected["class"]:
        raise ValueError(f"optimizer is {settings}; expected {expected}")
    del settings["class"]
    check_integer("iterations", settings["iterations"], 0)
    read = {k: np.array(v) if isinstance(v, list) else v for k, v in settings.items()}
    vars(model.optimizer).update(read)
    set_states(model.rngs, json.loads(str(state["rngs"])))


def _settings(optimizer):
    """Return the class of an optimiser and its settings: numbers, arrays or None."""
    settings = {k: v for k, v in vars(optimizer).items() if k != "slots"}
    rates = {k: v.tolist() for k, v in settings.items() if isinstance(v, np.ndarray)}
    plain = _plain(settings) | rates
    for name, value in settings.items():
        if name not in plain and not callable(value):
            raise ValueError(
                f"optimizer.{name} is {type(value).__name__}; expected a number or an "
                "array, as only these and slots are saved"
            )
    return {"class": type(optimizer).__name__} | plain


def _options(one):
    """Return the class of a layer or model and what it was made with."""
    options = {
        name: value
        for name, value in vars(one).items()
        if value is not None and not name.startswith("_")
    }
    return {"class": type(one).__name__} | _plain(options)


def _plain(values):
    """Keep what JSON can write exactly: numbers, truth values, text and None."""
    plain = (bool, int, float, str, type(None), np.bool, np.number)
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in values.items()
        if isinstance(value, plain)
    }


def _to_json(value):
    # Some generators keep arrays in their state.
    return np.array(json.dumps(value, default=np.ndarray.tolist))
