"""Plugin that `python -m tools.check` loads: what needs Keras or a browser says so.

And each process starts a second earlier.
"""

import sys

import pytest

NEEDS = {"keras": "keras", "tensorflow": "keras", "playwright": "browser"}
SLOW = "rfc3987_syntax"


class Guard:
    """Stands before Python's own finders; fails the test that imports one of these."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in NEEDS:
            pytest.fail(f"{name} is imported here: take the fixture {NEEDS[name]!r}")


def pytest_configure():
    sys.meta_path.insert(0, Guard)
    # jsonschema imports it where it can, to check addresses, of which notebooks have
    # none; that takes longer than all other imports together.
    sys.modules[SLOW] = None


def pytest_unconfigure():
    sys.meta_path.remove(Guard)
    del sys.modules[SLOW]
