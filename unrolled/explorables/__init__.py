"""Things to touch: networks and cells in the reader's hands, in any notebook reader."""

from unrolled.explorables.cell import cell

__all__ = ["cell"]
