"""Runs too large for a page, one script for each: see `record.py`."""
