"""Tests of the files around the code: lists, metadata, guides, workflows."""

from tests.conftest import need

need("nbformat")
need("yaml")
