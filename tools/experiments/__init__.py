"""Repeats what the pages measure: `python -m tools.experiments.replicate`."""
