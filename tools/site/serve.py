"""Show the built site in a browser, from this machine: what `make serve` runs.

python -m tools.site.serve
python -m tools.site.serve --port 8001
"""

import errno
import functools
import http.server
import os
from pathlib import Path

from tools import console

ROOT = Path(__file__).resolve().parents[2]


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files under the types that browsers want, whatever Windows thinks."""

    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {
        ".css": "text/css",
        ".ipynb": "application/json",
        ".js": "text/javascript",
        ".json": "application/json",
        ".svg": "image/svg+xml",
        ".woff2": "font/woff2",
    }

    def log_message(self, *arguments):
        """Say nothing for each file."""


class Server(http.server.ThreadingHTTPServer):
    """Refuses a port that is taken, on Windows too, where reuse would share it."""

    allow_reuse_address = os.name != "nt"


def main(argv=None):
    """Run the command line; returns the exit status."""
    parser = console.parser("tools.site.serve", __doc__)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--folder", type=Path, default=ROOT / "_build" / "html")
    options = parser.parse_args(argv)
    if not (options.folder / "index.html").is_file():
        parser.error(
            f"no site in {options.folder}: build it, python -m tools.site.build"
        )
    handler = functools.partial(Handler, directory=str(options.folder))
    try:
        server = Server(("localhost", options.port), handler)
    except (OSError, OverflowError) as error:
        parser.error(f"port {options.port}: {why_not(error)}; choose another: --port")
    with server:
        print(f"http://localhost:{server.server_port}  (Ctrl-C ends it)", flush=True)
        server.serve_forever()


def why_not(error):
    """Why a port cannot be had, in a word or two."""
    if getattr(error, "errno", None) == errno.EADDRINUSE:
        return "another program uses it"
    if getattr(error, "errno", None) == errno.EACCES:
        return "only an administrator may use it"
    return "0 to 65535 are possible" if isinstance(error, OverflowError) else error


if __name__ == "__main__":
    console.run(main, "The server has ended.")
