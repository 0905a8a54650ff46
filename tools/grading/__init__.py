"""Makes hand-outs and grades classes: `python -m tools.grading.grade`."""
