"""A process that can do no harm: no network, no other files, limits on all it takes."""

import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil

from tools.grading import cgroup, seccomp

LOOK_EVERY = 0.05  # seconds between looks at how it does
PROCESSES = 200  # threads included
IDLE = 60  # seconds in which a submission that is not stuck computes something
SIZE = 1 << 26  # bytes of each place that can be written to
SAID = 4000  # bytes of what the sandbox itself says when it fails
SYSTEM = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/etc/ld.so.cache")
DEVICES = ("null", "full", "random", "urandom")  # /dev/zero would be uncounted memory
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
    "MPLBACKEND": "agg",
    "MPLCONFIGDIR": "/tmp",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
}
INSTALL = (
    "bubblewrap (bwrap), which keeps submissions from your files and the network, is "
    "not installed. Install it (Debian, Ubuntu: apt-get install bubblewrap; Fedora: "
    "dnf install bubblewrap; Windows: work in WSL)"
)
REFUSED = (
    "bubblewrap (bwrap) is installed, but may not make namespaces here. Inside a "
    "container, start it with the rights to do so; on Ubuntu, "
    "`sysctl kernel.apparmor_restrict_unprivileged_userns=0` allows it"
)
TOO_OLD = "bubblewrap (bwrap) is too old here; expected version 0.8 or later"
UNSAFE = (
    "graded without a sandbox: a submission could reach the network, and read and "
    "write whatever the grader's user can"
)
OUT_OF_TIME = int(getattr(signal, "SIGXCPU", 24))
INTERRUPTED = "interrupted"
STOPPED: list[str] = []  # holds something when the class is to end at once


class Broken(RuntimeError):
    """The sandbox failed before any line of a submission ran. Nobody's mark."""


def missing():
    """What keeps the sandbox from working here, in words; "" if nothing does."""
    if shutil.which("bwrap") is None:
        return INSTALL
    command = [*walls(new_user(), []), "/usr/bin/true"]
    run = subprocess.run(command, capture_output=True, check=False)
    if run.returncode == 0:
        return ""
    said = run.stderr[:SAID].decode(errors="replace").strip()
    if "Unknown option" in said:
        return f"{TOO_OLD}. It says: {said}"
    return f"{REFUSED}. It says: {said or f'status {run.returncode}'}"


def new_user():
    """A user id of its own where this is root, as the kernel counts by user; else 0."""
    return 100_000 + secrets.randbelow(1 << 20) if os.geteuid() == 0 else 0


def walls(uid, readable):
    """The bubblewrap command: an empty world but for the system and `readable`.

    Args:
        uid: what the process will become by itself, where this is root; else 0.
        readable: further folders and links, seen where they are, not to be written to.
    """
    command = ["bwrap", "--die-with-parent", "--new-session", "--clearenv"]
    if uid:  # root needs no user namespace, but must become somebody else
        command += [f"--unshare-{kind}" for kind in ("ipc", "net", "pid", "uts")]
        command += ["--unshare-cgroup-try", "--cap-drop", "ALL"]
        command += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        command += ["--unshare-all", "--unshare-user", "--disable-userns"]
    command += ["--proc", "/proc", *tmpfs("/dev", "0755")]
    for name in DEVICES:
        command += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    command += ["--symlink", "/proc/self/fd", "/dev/fd"]
    command += [*tmpfs("/dev/shm", "1777"), *tmpfs("/tmp", "1777")]
    for path in SYSTEM:
        if Path(path).is_symlink():
            command += ["--symlink", os.readlink(path), path]
        elif Path(path).exists():
            command += ["--ro-bind", path, path]
    for path in map(Path, readable):
        for parent in list(path.parents)[-2::-1]:  # bubblewrap would make them private
            command += ["--perms", "0755", "--dir", str(parent)]
        if path.is_symlink():
            command += ["--symlink", os.readlink(path), str(path)]
        else:
            command += ["--ro-bind", str(path), str(path)]
    command += ["--remount-ro", "/dev", "--remount-ro", "/"]
    for name, value in ENVIRONMENT.items():
        command += ["--setenv", name, value]
    return [*command, "--chdir", "/tmp"]


def tmpfs(path, mode):
    """Options for a place in memory, to write to, that cannot grow without end."""
    return ["--size", str(SIZE), "--perms", mode, "--tmpfs", path]


def python_files():
    """Folders and links that this Python needs outside the system's.

    An environment's `python` may be a link to a link to a link, through folders that
    are links themselves; each of them must be there.
    """
    found = [Path(path) for path in (sys.prefix, sys.base_prefix, sys.base_exec_prefix)]
    libraries = Path(np.__file__).parents[1]
    links = [*found, libraries, Path(sys.executable)]
    found += [libraries, Path(os.path.realpath(sys.executable)).parents[1]]
    found += [Path(os.path.realpath(path)) for path in found]
    links = [hop for path in links for hop in hops(path)]
    outside = [path for path in found if not within(path, ["/usr"])]
    outside = sorted({path for path in outside if not path.is_symlink()})
    kept = [path for path in outside if not within(path.parent, outside)]
    kept_links = [link for link in links if not within(link, [*SYSTEM, *kept])]
    return [*dict.fromkeys(kept_links), *kept]


def hops(path):
    """Every symbolic link on the way to a path, whichever of its parts it is."""
    found, waiting = [], [Path(os.path.abspath(path))]
    while waiting and len(found) < 100:
        path = waiting.pop()
        for part in [*reversed(path.parents), path]:
            if part.is_symlink():
                found.append(part)
                target = Path(os.path.normpath(part.parent / os.readlink(part)))
                waiting.append(target / path.relative_to(part))
                break
    return found


def within(path, folders):
    """Whether a path lies in one of these folders, or is one."""
    return any(Path(path).is_relative_to(folder) for folder in folders)


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
        readable: folders that it needs besides the system and Python.

    Returns:
        `(output, ended, said)`: bytes; "" or why it was stopped, in words; and what the
        sandbox itself said, if it failed.

    Raises:
        Broken: the process could not be started.
    """
    uid = new_user() if sandboxed else 0
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        )
        command = [sys.executable, "-I", "-c", script]
        # Whoever counts stops it; this limit is for what is faster than the count.
        environment, processes, passed = ENVIRONMENT, 2 * PROCESSES, ()
        group = cgroup.make(memory, PROCESSES) if sandboxed else None
        if sandboxed:
            around = walls(uid, [*python_files(), *readable])
            if (calls := seccomp.program()) is not None:
                passed = (stack.enter_context(as_file(calls)),)
                around += ["--seccomp", str(passed[0])]
            command = [*around, *command]
            environment = {"PATH": os.environ.get("PATH", "/usr/bin")}
        else:
            environment = ENVIRONMENT | {"HOME": folder, "MPLCONFIGDIR": folder}
            processes += threads_of_this_user()
        if group is not None:
            stack.callback(group.remove)
            command = [*joins(group.entrances), *command]
        inside = "/tmp" if sandboxed else folder
        data = job(uid=uid, folder=inside, processes=processes)
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                cwd="/" if sandboxed else folder,
                start_new_session=True,
                pass_fds=passed,
            )
        except OSError as error:  # no memory, no processes, no program
            raise Broken(f"{command[0]}: {error.strerror}") from error
        limits = seconds * patience, memory, most
        output, why, said = follow(process, data, *limits, group)
        if group is not None and group.ran_out():
            why = f"stopped: it needed more than {memory >> 20} MB of memory"
        return output, why, said


@contextlib.contextmanager
def as_file(data):
    """Number of an open file that holds these bytes."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        yield file.fileno()


def joins(entrances):
    """A command that joins control groups and becomes the command that follows."""
    lines = "; ".join(f'echo $$ > "${n}"' for n in range(1, len(entrances) + 1))
    script = f'set -e; {lines}; shift {len(entrances)}; exec "$@"'
    return ["/bin/sh", "-c", script, "sh", *entrances]


def threads_of_this_user():
    """How many the kernel counts already where a limit counts all of a user's."""
    total, mine = 0, os.getuid() if hasattr(os, "getuid") else None
    for process in psutil.process_iter(["uids", "num_threads"]):
        uids, threads = process.info["uids"], process.info["num_threads"]
        total += (threads or 0) if uids and uids.real == mine else 0
    return total


def follow(process, data, seconds, memory, most, group=None):
    """Feed a process and read it until it ends or takes too much.

    Returns:
        `(output, why it was stopped, what it said on standard error)`.
    """
    output, said = bytearray(), bytearray()

    def feed():
        with contextlib.suppress(OSError):
            process.stdin.write(data)
            process.stdin.close()

    def read(stream, into, enough):
        with contextlib.suppress(OSError, ValueError):
            while len(into) <= enough and (more := stream.read1(1 << 16)):
                into.extend(more)

    reads = threading.Thread(
        target=read, args=(process.stdout, output, most), daemon=True
    )
    others = (
        threading.Thread(target=feed, daemon=True),
        threading.Thread(target=read, args=(process.stderr, said, SAID), daemon=True),
    )
    for thread in (reads, *others):
        thread.start()
    deadline, why, seen = time.monotonic() + seconds, "", {}
    watched = group is None  # otherwise the kernel counts
    family = psutil.Process(process.pid)
    work, since = 0.0, time.monotonic()
    # What a submission leaves behind may hold the pipe open for ever: the end of the
    # process counts, not that of its output.
    while process.poll() is None and not why:
        reads.join(LOOK_EVERY)
        if not reads.is_alive():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_EVERY)
        if watched:
            seen |= {one.pid: one for one in relatives(family)}
        if time.monotonic() > since + IDLE:
            before, work, since = work, computed(family), time.monotonic()
            if abs(work - before) < 0.01:
                why = f"stopped: it computed nothing for {IDLE} s on the clock"
        if STOPPED:
            why = INTERRUPTED
        elif time.monotonic() > deadline:
            why = f"stopped after {seconds:.0f} s on the clock"
        elif len(output) > most:
            why = f"stopped: it sent more than {most >> 20} MB"
        elif too_many(group, seen):
            why = f"stopped: it started more than {PROCESSES} processes"
        elif watched and (held := held_by(seen.values())) > memory:
            why = f"stopped: it held {held >> 20} MB of memory"
    for one in [*seen.values(), *relatives(family)]:  # in a sandbox, all die together
        with contextlib.suppress(psutil.Error):
            one.kill()
    process.wait()
    reads.join(1)
    for stream in (process.stdin, process.stdout, process.stderr):
        if not (stream is process.stdout and reads.is_alive()):
            with contextlib.suppress(OSError, ValueError):
                stream.close()
    return bytes(output[: most + 1]), why, in_words(said)


def computed(family):
    """Seconds of processor time that a process and all below it have taken."""
    total = 0.0
    for process in relatives(family):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def too_many(group, seen):
    """Whether there are more processes than a submission may start."""
    if group is not None:
        return group.too_many()
    return sum(one.is_running() for one in seen.values()) > PROCESSES


def in_words(said):
    """The last of what a program said when it failed, in one line."""
    text = bytes(said[:SAID]).decode(errors="replace")
    return re.sub(r"[^\x20-\x7e]+", " ", text).strip()[-300:]


def held_by(processes):
    """Bytes of memory that processes hold; what they share counts once."""
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.Error, OSError):
            try:
                total += process.memory_full_info().pss
            except (psutil.AccessDenied, AttributeError):
                total += process.memory_info().rss
    return total


def relatives(family):
    """A process and all below it that are still there."""
    try:
        return [family, *family.children(recursive=True)]
    except psutil.Error:
        return []
