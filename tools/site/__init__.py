"""Executes the pages and builds the site: `python -m tools.site.build`."""
