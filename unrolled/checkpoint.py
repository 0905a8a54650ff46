"""A run put down and taken up again: weights, optimiser, random generators."""

import copy
import json
import os
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from unrolled.checks import check_array
from unrolled.layer import list_generators


class Checkpoint:
    """`save` and `load` of a `SequenceModel`."""

    def save(self, path):
        """Write weights, optimiser and random generators to `path` (npz), whole or not.

        What is loaded from it goes on with exactly the bits that would have come.

        Raises:
            ValueError: the model is not built, so that there is nothing to save.
        """
        if not self.head.built:
            raise ValueError("the model has no weights yet; fit it or build it first")
        path = Path(path)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".saving") as folder:
            part = Path(folder) / "part.npz"
            np.savez(part, **self._state())
            os.replace(part, path)

    def load(self, path):
        """Take up what `save` wrote, in a model of the same make.

        Raises:
            ValueError: not such a file, or of another model; nothing has changed then.
        """
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
                saved = dict(arrays)
            twin = copy.deepcopy(self)
            twin._check_inputs(np.zeros((1, 1, int(saved["features"]))))  # builds
            twin._take_up(saved)
        except (OSError, EOFError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} does not fit this model: {error}") from error
        except zipfile.BadZipFile as error:
            raise ValueError(f"{path} is no saved model: {error}") from error
        if not self.head.built:
            self.build(int(saved["features"]))
        self._take_up(saved)

    def _state(self):
        """Name → array of all that a fit depends on."""
        arrays = {f"weights/{name}": w for name, w in self.weights.items()}
        for name, slots in self.optimizer.slots.items():
            arrays |= {f"slots/{name}/{k}": slot for k, slot in enumerate(slots)}
        states = [rng.bit_generator.state for rng in list_generators(self.rngs)]
        return arrays | {
            "optimizer": np.array(type(self.optimizer).__name__),
            "iterations": np.array(self.optimizer.iterations),
            "features": np.array(self.body.features),
            "rngs": np.array(json.dumps(states)),
        }

    def _take_up(self, saved):
        """Be in the state `saved`, or raise `ValueError`."""
        self.optimizer.slots = {}
        if saved["iterations"]:
            self.optimizer.make_slots(self.weights)
        expected = self._state()
        for name in expected.keys() | saved.keys():
            got = np.shape(saved.get(name)), np.shape(expected.get(name))
            if name not in expected or name not in saved or got[0] != got[1]:
                raise ValueError(f"{name} has shape {got[0]}; expected {got[1]}")
        if saved["optimizer"] != expected["optimizer"]:
            raise ValueError(
                f"optimizer is {saved['optimizer']}; expected {expected['optimizer']}"
            )
        for name in saved:
            if name.startswith(("weights/", "slots/")):
                new = check_array(name, saved[name], expected[name].shape, None)
                expected[name][...] = new
        self.optimizer.iterations = int(saved["iterations"])
        rngs = list_generators(self.rngs)
        for rng, state in zip(rngs, json.loads(str(saved["rngs"])), strict=True):
            rng.bit_generator.state = state
