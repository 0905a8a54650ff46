"""A process that can do no harm: no network, no other files, limits on all it takes."""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

LOOK_EVERY = 0.05  # seconds between looks at memory and processes
PROCESSES = 200
SYSTEM = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/etc/ld.so.cache")
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
    "MPLBACKEND": "agg",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
}


def missing(sandboxed):
    """What the sandbox lacks on this machine, in words; nothing where it is whole."""
    if sandboxed:
        return []
    return [
        "bubblewrap (bwrap) is not installed or may not make namespaces here: a "
        "submission can reach the network and read and write what this user can; time, "
        "memory and processes are limited all the same. Do not grade strangers so.",
    ]


def has_bubblewrap():
    """Whether bubblewrap is here and works."""
    if shutil.which("bwrap") is None:
        return False
    command = [*walls(new_user(), readable=()), "/usr/bin/true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def new_user():
    """A user id of its own where this is root, as the kernel counts by user; else 0."""
    return 100_000 + secrets.randbelow(1 << 20) if os.geteuid() == 0 else 0


def walls(uid, readable):
    """The bubblewrap command: an empty world but for the system and `readable`.

    Args:
        uid: what the process will become by itself, where this is root; else 0.
        readable: further folders, seen where they are, not to be written to.
    """
    command = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session"]
    command += ["--clearenv", "--proc", "/proc", "--dev", "/dev"]
    command += ["--size", str(1 << 26), "--perms", "1777", "--tmpfs", "/tmp"]
    for path in SYSTEM:
        if Path(path).is_symlink():
            command += ["--symlink", os.readlink(path), path]
        elif Path(path).exists():
            command += ["--ro-bind", path, path]
    for path in map(Path, readable):
        for parent in list(path.parents)[-2::-1]:  # bubblewrap would make them private
            command += ["--perms", "0755", "--dir", str(parent)]
        command += ["--ro-bind", str(path), str(path)]
    if uid:  # root needs no user namespace, but must become somebody else
        command.remove("--unshare-all")
        command += [f"--unshare-{kind}" for kind in ("ipc", "net", "pid", "uts")]
        command += ["--unshare-cgroup-try", "--cap-drop", "ALL"]
        command += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    for name, value in ENVIRONMENT.items():
        command += ["--setenv", name, value]
    return [*command, "--chdir", "/tmp"]


def run(script, job, *, seconds, patience, memory, most, sandboxed, readable):
    """Run a Python script on some input; return what it wrote and how it ended.

    Args:
        script: source of the script.
        job: function of the plan's own entries (`uid`, `folder`, `processes`) to bytes
            for its standard input.
        seconds: of processor time that the script limits itself to.
        patience: how many times as long, on the clock, until it is stopped.
        memory: bytes that all its processes may hold.
        most: bytes of output after which it is stopped.
        sandboxed: whether to put bubblewrap around it.
        readable: folders that it needs besides the system.

    Returns:
        `(output, ended)`: bytes, and "" or why it was stopped, in words.
    """
    uid = new_user()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        python = [sys.executable, "-I", "-c", script]
        environment = ENVIRONMENT
        if sandboxed:
            prefixes = {sys.prefix, sys.base_prefix, *map(str, readable)}
            outside = [p for p in sorted(prefixes) if not p.startswith("/usr")]
            command, inside = [*walls(uid, outside), *python], "/tmp"
            environment = {"PATH": os.environ.get("PATH", "/usr/bin")}
        else:
            command, inside, uid = python, folder, 0
        data = job(uid=uid, folder=inside, processes=PROCESSES)
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd="/" if sandboxed else folder,
            start_new_session=True,
        )
        return follow(process, data, seconds, patience, memory, most)


def follow(process, data, seconds, patience, memory, most):
    """Feed a process and read it until it ends or takes too much."""
    output = bytearray()

    def feed():
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(data)
            process.stdin.close()

    def read():
        while len(output) <= most and (more := process.stdout.read1(1 << 16)):
            output.extend(more)

    threads = [threading.Thread(target=work, daemon=True) for work in (feed, read)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds * patience
    why = ""
    family = psutil.Process(process.pid)
    while threads[1].is_alive() and not why:
        threads[1].join(LOOK_EVERY)
        if time.monotonic() > deadline:
            why = f"stopped after {seconds * patience:.0f} s"
        elif len(output) > most:
            why = f"stopped: it sent more than {most >> 20} MB"
        elif (held := resident(family)) > memory:
            why = f"stopped: it held {held >> 20} MB of memory"
    end(family)
    # By its own limit; bubblewrap reports a signal as a shell does.
    if process.wait() in (-signal.SIGXCPU, 128 + signal.SIGXCPU) and not why:
        why = f"stopped after {seconds:.0f} s"
    for stream in (process.stdin, process.stdout):
        with contextlib.suppress(BrokenPipeError, ValueError):
            stream.close()
    return bytes(output), why


def resident(family):
    """Bytes of memory that a process and all below it hold."""
    total = 0
    for process in relatives(family):
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total


def relatives(family):
    """A process and all below it that are still there."""
    try:
        return [family, *family.children(recursive=True)]
    except psutil.Error:
        return []


def end(family):
    """Kill a process and all below it; in a sandbox the rest dies with the first."""
    for process in relatives(family):
        with contextlib.suppress(psutil.Error):
            process.kill()
