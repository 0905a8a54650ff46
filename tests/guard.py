"""Plugin that `python -m tools.check` loads: what needs Keras or a browser says so."""

import sys

import pytest

NEEDS = {"keras": "keras", "tensorflow": "keras", "playwright": "browser"}


class Guard:
    """Stands before Python's own finders; fails the test that imports one of these."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in NEEDS:
            pytest.fail(f"{name} is imported here: take the fixture {NEEDS[name]!r}")


def pytest_configure():
    sys.meta_path.insert(0, Guard)


def pytest_unconfigure():
    sys.meta_path.remove(Guard)
