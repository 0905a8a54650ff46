"""Save and resume training: weights, the optimiser's state, the random generators."""

import copy
import json
import os
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unrolled.checks import check_array
from unrolled.generators import get_states, set_states
from unrolled.types import Arrays

if TYPE_CHECKING:
    from unrolled.model import SequenceModel


def save(model: "SequenceModel", path: str | os.PathLike[str]) -> None:
    """Write the state of a model to an npz file; see `SequenceModel.save`.

    The file appears under its name only when it is complete.
    """
    if not model.built:
        raise ValueError("the model has no weights yet; fit it or build it first")
    path, state = Path(path), get_state(model)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".saving") as folder:
        part = Path(folder) / "part.npz"
        np.savez(part, **state)
        os.replace(part, path)


def load(model: "SequenceModel", path: str | os.PathLike[str]) -> None:
    """Put a model into the state that `save` wrote; see `SequenceModel.load`.

    A copy of the model tries the state first, so that a file that does not fit
    changes nothing.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            state = dict(arrays)
        set_state(copy.deepcopy(model), state)
    except (OSError, EOFError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} does not fit this model: {error}") from error
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path} is not a saved model: {error}") from error
    set_state(model, state)


def get_state(model: "SequenceModel") -> dict[str, Any]:
    """Return everything that further training depends on, as arrays by name.

    The names are "weights/…", "slots/…" (the optimiser's own arrays), "optimizer",
    "iterations", "features" and "rngs". Weights and slots are the model's own arrays.
    """
    state: Arrays = {f"weights/{name}": w for name, w in model.weights.items()}
    for name, slots in model.optimizer.slots.items():
        state |= {f"slots/{name}/{k}": slot for k, slot in enumerate(slots)}
    return state | {
        "optimizer": np.array(type(model.optimizer).__name__),
        "iterations": np.array(model.optimizer.iterations),
        "features": np.array(model.body.features),
        "rngs": np.array(json.dumps(get_states(model.rngs))),
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
    if state["iterations"]:
        model.optimizer.make_slots(model.weights)
    current = get_state(model)
    different = sorted(current.keys() ^ state.keys())
    if different:
        raise ValueError(f"only one of the two has {', '.join(different)}")
    for name, array in current.items():
        if state[name].shape != array.shape:
            raise ValueError(
                f"{name} has shape {state[name].shape}; expected {array.shape}"
            )
    for name in ("optimizer", "features"):
        if state[name] != current[name]:
            raise ValueError(f"{name} is {state[name]}; expected {current[name]}")
    for name, array in current.items():
        if name.startswith(("weights/", "slots/")):
            array[...] = check_array(name, state[name], array.shape, None)
    model.optimizer.iterations = int(state["iterations"])
    set_states(model.rngs, json.loads(str(state["rngs"])))
