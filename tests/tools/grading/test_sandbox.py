"""The walls themselves: what Python needs is there, and nothing else."""

import os
import platform
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import missing
from tools.grading import cgroup, sandbox, seccomp


@pytest.fixture
def bwrap():
    """Bubblewrap, which is a program of the system."""
    if shutil.which("bwrap") is None:
        missing("bubblewrap is not installed (Debian: apt-get install bubblewrap)")


def test_links_to_links_are_all_there(tmp_path):
    """As uv lays out an environment: python is a link to a link, through a link."""
    real = tmp_path / "python" / "cpython-3.11.7" / "bin"
    real.mkdir(parents=True)
    (real / "python3.11").touch()
    (tmp_path / "python" / "cpython-3.11").symlink_to("cpython-3.11.7")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "python3").symlink_to("../python/cpython-3.11/bin/python3.11")
    (tmp_path / "env" / "bin").mkdir(parents=True)
    (tmp_path / "env" / "bin" / "python").symlink_to(tmp_path / "links" / "python3")
    assert sandbox.hops(tmp_path / "env" / "bin" / "python") == [
        tmp_path / "env" / "bin" / "python",
        tmp_path / "links" / "python3",
        tmp_path / "python" / "cpython-3.11",
    ]
    (tmp_path / "loop").symlink_to("loop")
    assert len(sandbox.hops(tmp_path / "loop")) == 100


def test_an_environment_of_links_runs_inside(tmp_path, bwrap, monkeypatch):
    """This Python, reached through links outside its prefix, still finds NumPy."""
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "python3"
    link.symlink_to(os.path.realpath(sys.executable))
    environment = tmp_path / "env"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").symlink_to(link)
    config = Path(sys.prefix, "pyvenv.cfg")
    if not config.exists():
        pytest.skip("this Python is no virtual environment")
    shutil.copy(config, environment)
    (environment / "lib").symlink_to(Path(sys.prefix, "lib"))
    tmp_path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(environment / "bin" / "python"))
    monkeypatch.setattr(sys, "prefix", str(environment))
    command = [*sandbox.walls(0, sandbox.python_files()), sys.executable, "-I", "-c"]
    if os.geteuid() == 0:  # as root, bubblewrap itself can do without
        command = [*sandbox.walls(1, sandbox.python_files()), *command[-3:]]
    says = "import sys, numpy; print(sys.prefix, numpy.__version__)"
    run = subprocess.run(
        [*command, says], capture_output=True, encoding="utf-8", check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split()[0] == str(environment)


WRITES = """
import os
for path in ("/tmp", "/dev/shm", "/", "/dev", "/usr", "/proc"):
    try:
        with open(os.path.join(path, "x"), "wb") as file:
            try:
                while True:
                    file.write(bytes(1 << 20))
            except OSError:
                pass
        print(path, os.path.getsize(os.path.join(path, "x")) >> 20)
    except OSError:
        pass
print(*sorted(os.listdir("/dev")))
"""


def test_an_old_bubblewrap_is_called_old(tmp_path, monkeypatch):
    """Ubuntu 22.04 has 0.6, which knows no `--size`; rights are not what it lacks."""
    program = tmp_path / "bwrap"
    says = "#!/bin/sh\necho bwrap: Unknown option --size >&2; exit 1\n"
    program.write_text(says, "ascii")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert "too old here; expected version 0.8" in sandbox.missing()


def test_every_place_to_write_has_a_size(bwrap):
    uid = 1 if os.geteuid() == 0 else 0
    command = [*sandbox.walls(uid, sandbox.python_files()), sys.executable, "-I", "-c"]
    run = subprocess.run(
        [*command, WRITES], capture_output=True, encoding="utf-8", check=True
    )
    *written, devices = run.stdout.splitlines()
    assert written == [f"/tmp {sandbox.SIZE >> 20}", f"/dev/shm {sandbox.SIZE >> 20}"]
    assert "zero" not in devices.split()


@pytest.mark.parametrize("machine", seccomp.MACHINES)
def test_the_filter_is_a_program(machine):
    """Every jump stays inside, every path ends in a verdict, each call gets its own."""
    lines = list(struct.iter_unpack("<HBBI", seccomp.program(machine)))
    for at, (code, jump, other, _) in enumerate(lines):
        if code in (seccomp.JUMP_IF_EQUAL, seccomp.JUMP_IF_AT_LEAST):
            assert at + 1 + max(jump, other) < len(lines)
    assert lines[-1][0] == seccomp.RETURN
    calls = seccomp.MACHINES[machine]
    allow = seccomp.ALLOW
    for name, number in calls["refused"].items():
        assert verdict(lines, calls["audit"], number) != allow, name
    for number, argument, bits in (
        (calls["clone"], 0, seccomp.NEW_USER),
        (calls["mmap"], 3, seccomp.SHARED_WITHOUT_FILE),
    ):
        plain, refused = [0] * 6, [0] * 6
        refused[argument] = bits | 0x2
        plain[argument] = bits & (bits - 1) or 0x11
        assert verdict(lines, calls["audit"], number, refused) != allow
        assert verdict(lines, calls["audit"], number, plain) == allow
    assert verdict(lines, calls["audit"], 1) == allow
    assert verdict(lines, calls["audit"], seccomp.X32 + 1) != allow
    assert verdict(lines, 0x40000003, 1) == seccomp.KILL


def verdict(lines, machine, number, arguments=(0,) * 6):
    """What the kernel's machine makes of a system call."""
    data = struct.pack("<IIQ6Q", number, machine, 0, *arguments)
    at, value = 0, 0
    while True:
        code, jump, other, k = lines[at]
        at += 1
        if code == seccomp.LOAD:
            (value,) = struct.unpack_from("<I", data, k)
        elif code == seccomp.AND:
            value &= k
        elif code == seccomp.JUMP_IF_EQUAL:
            at += jump if value == k else other
        elif code == seccomp.JUMP_IF_AT_LEAST:
            at += jump if value >= k else other
        else:
            return k


def test_an_unknown_machine_has_no_filter():
    assert seccomp.program("pdp11") is None
    assert (seccomp.program() is None) == (platform.machine() not in seccomp.MACHINES)


def hierarchy(folder, files):
    """A picture of the kernel's interface, where writing is just writing."""
    for name in files:
        (folder / name).mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.parametrize(
    ("own", "folders", "limits"),
    [
        (
            "4:memory:/a\n3:pids:/\n0::/\n",
            ["memory/a", "pids"],
            {"memory": "memory.limit_in_bytes", "pids": "pids.max"},
        ),
        ("0::/b/c\n", ["b/c"], {"memory": "memory.max", "pids": "pids.max"}),
    ],
)
def test_both_versions_of_control_groups_are_spoken(tmp_path, own, folders, limits):
    (tmp_path / "own").write_text(own, "ascii")
    root = hierarchy(tmp_path / "cgroup", folders)
    group = cgroup.make(1 << 28, 9, root, tmp_path / "own")
    found = {what: path / limits[what] for what, path in group.folders.items()}
    assert {w: p.read_text("ascii").strip() for w, p in found.items()} == {
        "memory": str(1 << 28),
        "pids": "9",
    }
    assert not group.ran_out()
    name = "memory.oom_control" if len(group.entrances) == 2 else "memory.events"
    (group.folders["memory"] / name).write_text("oom 1\noom_kill 1\n", "ascii")
    assert group.ran_out()


def test_without_control_groups_there_is_none(tmp_path):
    (tmp_path / "own").write_text("1:cpu:/\n", "ascii")
    assert cgroup.make(1 << 28, 9, tmp_path, tmp_path / "own") is None
    assert cgroup.make(1 << 28, 9, tmp_path, tmp_path / "nowhere") is None
    (tmp_path / "own").write_text("0::/gone\n", "ascii")
    assert cgroup.make(1 << 28, 9, tmp_path, tmp_path / "own") is None
