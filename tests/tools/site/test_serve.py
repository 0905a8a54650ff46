"""The server of the built site: what it sends, and what it says where it cannot."""

import contextlib
import http.client
import socket
import threading

import pytest

from tools.site import serve


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "index.html").write_text("Gates", encoding="utf-8")
    (tmp_path / "theme.js").write_text("", encoding="utf-8")
    return tmp_path


@pytest.fixture
def started(folder, monkeypatch):
    """The server that the command line starts, on a free port."""
    servers, ready = [], threading.Event()

    class Noted(serve.Server):
        def serve_forever(self):
            servers.append(self)
            ready.set()
            super().serve_forever()

    monkeypatch.setattr(serve, "Server", Noted)
    arguments = ["--folder", str(folder), "--port", "0"]
    thread = threading.Thread(target=serve.main, args=[arguments])
    thread.start()
    ready.wait()
    yield servers[0]
    servers[0].shutdown()
    thread.join()


@pytest.mark.parametrize(
    ("path", "kind"), [("/", "text/html"), ("/theme.js", "text/javascript")]
)
def test_sends_the_site(started, path, kind, capfd):
    with contextlib.closing(
        http.client.HTTPConnection("localhost", started.server_port)
    ) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Content-Type"]) == (200, kind)
    assert capfd.readouterr().err == ""


def fails(capsys, *arguments):
    """What is said where the command line refuses."""
    with pytest.raises(SystemExit) as stop:
        serve.main([*map(str, arguments)])
    assert stop.value.code == 2
    return capsys.readouterr().err


def test_a_taken_port(folder, capsys):
    with socket.create_server(("localhost", 0)) as other:
        port = other.getsockname()[1]
        said = fails(capsys, "--folder", folder, "--port", port)
    assert f"port {port}: another program uses it; choose another: --port" in said


def test_an_impossible_port(folder, capsys):
    said = fails(capsys, "--folder", folder, "--port", 70000)
    assert "port 70000: 0 to 65535 are possible" in said


def test_no_site(tmp_path, capsys):
    said = fails(capsys, "--folder", tmp_path)
    assert "no site in" in said and "python -m tools.site.build" in said
