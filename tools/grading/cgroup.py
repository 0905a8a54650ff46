"""Control groups: the kernel counts the memory and the processes of all in a group.

Where there is none to be had (no rights, no controllers), `made` gives None, and the
sandbox counts by itself. Both versions of the kernel's interface are spoken; nothing
is moved but the process that the group is for.
"""

import contextlib
import os
import secrets
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


class Group:
    """A control group, or one in each hierarchy that counts something.

    Attributes:
        folders: of the kernel's interface, by what they count.
    """

    def __init__(self, folders):
        self.folders = folders

    @property
    def entrances(self):
        """Files to which a process writes its number to join."""
        return sorted({str(path / "cgroup.procs") for path in self.folders.values()})

    def ran_out(self):
        """Whether the kernel had to end a process because memory ran out."""
        return self.counted("memory", "memory.events", "oom_kill") or self.counted(
            "memory", "memory.oom_control", "oom_kill"
        )

    def too_many(self):
        """Whether the kernel had to refuse a process."""
        return self.counted("pids", "pids.events", "max")

    def counted(self, what, file, event):
        """Whether an event has happened, as a file of the kernel's interface says."""
        try:
            text = (self.folders[what] / file).read_text("ascii")
        except OSError:  # the other version of the interface
            return False
        counts = dict(line.split() for line in text.splitlines())
        return int(counts.get(event, 0)) > 0

    def remove(self):
        """Kill what is left in the group, then remove it."""
        ends = time.monotonic() + 5
        for path in set(self.folders.values()):
            while path.exists() and time.monotonic() < ends:
                with contextlib.suppress(OSError):
                    for number in (path / "cgroup.procs").read_text("ascii").split():
                        os.kill(int(number), 9)
                with contextlib.suppress(OSError):
                    path.rmdir()
                    break
                time.sleep(0.01)  # the kernel still takes apart what was killed


def make(memory, processes, root=ROOT, own=OWN):
    """A new group with these limits, or None where none can be made.

    Args:
        memory: bytes for all its processes, files in memory and kernel buffers.
        processes: how many, threads included.
        root: where the kernel's interface is mounted.
        own: which groups this process is in, as the kernel lists them.
    """
    try:
        lines = own.read_text("ascii").splitlines()
    except OSError:
        return None
    places = {}
    for line in lines:
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            places[name] = path.lstrip("/")
    name = f"submission-{secrets.token_hex(8)}"
    if "memory" in places and "pids" in places:
        folders = {
            what: root / what / places[what] / name for what in ("memory", "pids")
        }
        limits = {
            "memory": ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
            "pids": ("pids.max",),
        }
    elif "" in places:
        folders = dict.fromkeys(("memory", "pids"), root / places[""] / name)
        limits = {"memory": ("memory.max",), "pids": ("pids.max",)}
    else:
        return None
    group = Group(folders)
    values = {"memory": memory, "pids": processes}
    try:
        for what, path in folders.items():
            path.mkdir(exist_ok=True)
            (path / limits[what][0]).write_text(f"{values[what]}\n", "ascii")
            for other in (*limits[what][1:], "memory.swap.max"):
                if (path / other).exists():
                    number = 0 if other == "memory.swap.max" else values[what]
                    (path / other).write_text(f"{number}\n", "ascii")
    except OSError:
        group.remove()
        return None
    return group
