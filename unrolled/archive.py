"""Read npz files: all of what was written, or a message that names the file."""

import io
import os
import zipfile

import numpy as np

from unrolled.checks import check_path
from unrolled.types import Arrays


def read_arrays(path: str | os.PathLike[str]) -> Arrays:
    """Read all arrays of an npz file.

    `np.load` reads as many bytes as an array's header asks for, and notices damage
    only if it comes to the end. Here every array is read whole, with its checksum.

    Args:
        path: the file.

    Returns:
        the arrays by name.

    Raises:
        ValueError: there is no such file, or it is no npz file, or damaged.
    """
    path = check_path("path", path)
    if not path.is_file():
        raise ValueError(f"{str(path)!r}: there is no such file")
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                name.removesuffix(".npy"): _read_array(name, archive.read(name))
                for name in archive.namelist()
            }
    except OSError as error:
        raise ValueError(f"{str(path)!r}: {error}") from error
    # Damaged bytes make zipfile, zlib and NumPy raise nearly anything.
    except Exception as error:
        if not zipfile.is_zipfile(path):
            raise ValueError(
                f"{str(path)!r}: not an .npz archive, or one cut short"
            ) from error
        raise ValueError(
            f"{str(path)!r}: the .npz archive is damaged ({error})"
        ) from error


def _read_array(name, content):
    """Read one array, of numbers or text, from all bytes of its file."""
    file = io.BytesIO(content)
    try:
        array = np.lib.format.read_array(file, allow_pickle=False)
    except ValueError as error:
        if "pickle" not in str(error):
            raise
        raise ValueError(f"{name} holds Python objects") from None
    if file.read(1):
        raise ValueError(f"{name} is longer than its header says")
    return array
