"""Headless Chromium on the built site; as a script, it takes the README's picture."""

import contextlib
import functools
import gzip
import http.server
import threading
from pathlib import Path

from tools import console
from tools.chromium import find_chromium, launch

# Milliseconds after which what has not come never will; not a measure of speed.
PATIENCE = 180_000
PACKED = (".html", ".css", ".js", ".svg", ".json", ".xml", ".ipynb")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files as a web host does: text is packed, and kept by the browser."""

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        path = Path(self.translate_path(self.path))
        packs = "gzip" in self.headers.get("Accept-Encoding", "")
        if not packs or path.suffix not in PACKED or not path.is_file():
            super().do_GET()
            return
        content = gzip.compress(path.read_bytes())
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(path))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "max-age=600")
        self.end_headers()
        with contextlib.suppress(BrokenPipeError):
            self.wfile.write(content)


@contextlib.contextmanager
def serve(folder):
    """Serve `folder` at a free local port; yields its address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def new_page(browser, **options):
    """An empty page in a context of its own; waits as long as a busy machine needs."""
    page = browser.new_context(**options).new_page()
    page.set_default_timeout(PATIENCE)
    return page


def open_page(browser, address, path, width=1280, scheme="light"):
    """Open a page; returns it and a list of complaints and requests to other hosts."""
    page = new_page(
        browser,
        viewport={"width": width, "height": 800},
        color_scheme=scheme,
        reduced_motion="reduce",
    )
    troubles = []

    def answer(route):
        if route.request.url.startswith(address):
            route.continue_()
        else:
            troubles.append(f"asks {route.request.url}")
            route.abort()

    def hear(message):
        if message.type in ("error", "warning"):
            troubles.append(f"console: {message.text}")

    page.route("**/*", answer)
    page.on("console", hear)
    page.on("pageerror", lambda error: troubles.append(f"script: {error}"))
    page.on(
        "response",
        lambda r: troubles.append(f"{r.status} {r.url}") if r.status > 399 else 0,
    )
    page.goto(f"{address}/{path}")
    page.wait_for_load_state("networkidle")
    return page, troubles


def main(argv=None):
    """Photograph the page that the README shows; returns the exit status."""
    parser = console.parser("tools.browser", main.__doc__.split(";")[0])
    parser.add_argument("target", type=Path, help="picture to write, a .png file")
    target = parser.parse_args(argv).target
    if target.suffix != ".png" or not target.parent.is_dir():
        parser.error(f"target is {str(target)!r}; expected a .png in a folder")
    site = Path(__file__).parents[1] / "_build" / "html"
    if not (site / "book" / "index.html").is_file():
        parser.error("there is no site: build it, python -m tools.site.build")
    if find_chromium() is None:
        parser.error("Chromium is missing (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright  # the rest of this needs none

    with serve(site) as address, sync_playwright() as playwright:
        browser = launch(playwright)
        page, _ = open_page(browser, address, "book/index.html")
        page.screenshot(path=target)
        browser.close()
    return 0


if __name__ == "__main__":
    console.run(main)
