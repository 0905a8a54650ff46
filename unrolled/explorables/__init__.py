"""Things to touch: networks and cells in the reader's hands, in any notebook reader."""

from unrolled.explorables.cell import cell
from unrolled.explorables.read import read_digits
from unrolled.explorables.show import Explorable

__all__ = ["Explorable", "cell", "read_digits"]
