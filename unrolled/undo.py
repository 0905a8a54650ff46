"""Change several things or none, whatever stops the change: an error or Ctrl-C."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from unrolled.generators import get_states, set_states
from unrolled.types import Array


@contextmanager
def undo_on_failure(
    arrays: Iterable[Array] = (), objects: Iterable[Any] = ()
) -> Iterator[None]:
    """Put everything back as it was if the block does not reach its end.

    Args:
        arrays: what the block changes in place.
        objects: whose attributes the block sets; also the generators in their `rngs`.
    """
    contents = [(array, array.copy()) for array in arrays]
    attributes = [(one, dict(vars(one))) for one in objects]
    rngs = [rng for _, values in attributes for rng in values.get("rngs", ())]
    states = get_states(rngs)
    try:
        yield
    except BaseException:
        for array, content in contents:
            array[...] = content
        for one, values in attributes:
            vars(one).clear()
            vars(one).update(values)
        set_states(rngs, states)
        raise
