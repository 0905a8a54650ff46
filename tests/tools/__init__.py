"""Tests of the tools, whose packages are in tests/requirements.txt."""

from tests.conftest import need

need("nbformat")
need("psutil")
