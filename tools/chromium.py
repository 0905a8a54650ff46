"""The system's Chromium, without a window: it prints the book and tests the site."""

import shutil

# Without these, Chromium keeps asking its maker's servers for updates and settings.
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_chromium():
    """Path of the system's Chromium or Chrome, or None."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


def launch(playwright):
    """Start the system's Chromium."""
    return playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
