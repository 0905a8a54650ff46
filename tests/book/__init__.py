"""Tests of the pages: they read notebooks, for which the package alone needs no reader."""

from tests.conftest import need

need("nbformat")
