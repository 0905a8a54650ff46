"""A kernel that loses the race for its ports is followed by another."""

import atexit
import socket

import nbformat
import pytest
from nbclient import NotebookClient

from tools.kernels import STARTS, PatientClient

FIND = "jupyter_client.connect.LocalPortCache.find_available_port"


@pytest.fixture
def taken(monkeypatch):
    """Have a client offer its first kernels a port that another program has taken.

    Yields a function of how many kernels that is; it returns the list of all offers.
    """
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()

        def offer(times):
            offers = []

            def find(self, ip):
                offers.append(ip)
                if (len(offers) - 1) % 5 == 0 and len(offers) <= 5 * times:
                    return other.getsockname()[1]
                with socket.socket() as free:
                    free.bind((ip, 0))
                    return free.getsockname()[1]

            monkeypatch.setattr(FIND, find)
            return offers

        yield offer


def notebook():
    """One cell, and what it needs of its kernel's folder and environment."""
    code = "import os; print(os.environ.get('MARK'), os.getcwd())"
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])


def test_without_patience_the_page_is_lost(taken):
    """What `PatientClient` is for; when nbclient does it by itself, it can go."""
    taken(1)
    client = NotebookClient(notebook())
    with pytest.raises(RuntimeError, match="died before replying"):
        client.execute()
    atexit.unregister(client._cleanup_kernel)  # which would complain


@pytest.mark.parametrize("lost", [0, 1, STARTS - 1])
def test_another_kernel_starts_where_and_as_the_first(taken, lost, tmp_path):
    offers = taken(lost)
    page = notebook()
    client = PatientClient(page, resources={"metadata": {"path": str(tmp_path)}})
    client.execute(env={"MARK": "ours"})
    (output,) = page.cells[0].outputs
    assert output.text == f"ours {tmp_path.resolve()}\n"
    assert len(offers) == 5 * (lost + 1)  # each kernel takes five ports


def test_what_never_starts_is_an_error(taken):
    offers = taken(STARTS)
    with pytest.raises(RuntimeError, match="died before replying"):
        PatientClient(notebook()).execute()
    assert len(offers) == 5 * STARTS


def test_other_errors_are_not_repeated(monkeypatch, taken):
    offers = taken(0)

    async def fail(self):
        raise RuntimeError("something else")

    monkeypatch.setattr(NotebookClient, "async_start_new_kernel_client", fail)
    with pytest.raises(RuntimeError, match="something else"):
        PatientClient(notebook()).execute()
    assert len(offers) == 5
