"""What builds, grades and repeats: `python -m tools.…`, from the checkout."""
