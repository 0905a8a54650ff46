"""Things to touch: networks and cells in the reader's hands, in any notebook reader."""

from unrolled.explorables.cell import cell
from unrolled.explorables.read import read_digits
from unrolled.explorables.show import Explorable
from unrolled.explorables.write import write_text

__all__ = ["Explorable", "cell", "read_digits", "write_text"]
