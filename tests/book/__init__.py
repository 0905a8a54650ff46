"""Tests of the pages: they read notebooks, which needs more than the package."""

from tests.conftest import need

need("nbformat")
