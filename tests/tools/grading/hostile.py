"""Submissions that try to fool, harm or stop the grader of the toy assignment.

Each is `(code cells, points, words of the feedback)`. RIGHT is a right solution: where
it follows an attack, the attack may cost its points but not add any.
"""

SCALED = """
def scaled(x, scale):
    return x * scale
"""
SUMS = """
import functools


def sums(rows, step):
    return functools.reduce(step, rows), len(rows)
"""
RIGHT = [SCALED, SUMS]
WHOLE = {"q1": "2", "q2": "1", "points": "3"}
FIRST = {"q1": "2", "q2": "0", "points": "2"}
SECOND = {"q1": "0", "q2": "1", "points": "1"}
NOTHING = {"q1": "0", "q2": "0", "points": "0"}


def in_sums(body, before=""):
    """The first question answered, the second with this body."""
    return [SCALED, f"{before}\ndef sums(rows, step):\n    {body}"]


HOLDS_ON = """
while True:
    try:
        while True:
            pass
    except BaseException:
        pass
"""
FLOOD = """
import os
for _ in range(1024):
    for number in range(3, 9):
        try:
            os.write(number, b"x" * (1 << 20))
        except OSError:
            pass
"""
FORK_BOMB = """
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
"""
PATCHED_NUMPY = """
import numpy as np
np.allclose = np.array_equal = lambda *a, **k: True
np.abs = np.max = lambda *a: 0


def scaled(x, scale):
    return 0 * x


def sums(rows, step):
    return 0, 0
"""
PATCHED_GRADER = """
import __main__
import unrolled.course.answers
import unrolled.course.assignments
unrolled.course.answers.compare = lambda *a: None
unrolled.course.assignments.Question.complain = lambda *a: None
__main__.changed = __main__.judge = lambda *a: None


def scaled(x, scale):
    return 0 * x
"""
READS_THE_GRADER = """
import os
seen = [folder for folder, _, files in os.walk("ROOT") if files]
allowed = ("ROOT/.venv", "ROOT/unrolled")
kept = [folder for folder in seen if folder.startswith(allowed)]
assert len(seen) > len(kept), f"{len(kept) > 0}: nothing else there"
"""
NETWORK = """
import socket
socket.create_connection(("127.0.0.1", PORT), 1).sendall(b"here")
"""
WRITES = """
for path in ("SECRET", "GRADES/scores.csv", "ROOT/unrolled/course/answers.py"):
    try:
        open(path, "w").write("mine")
    except OSError:
        continue
    raise RuntimeError(path)
raise OSError("nowhere to write")
"""
PAYLOAD = """
import numpy as np


class Payload:
    def __reduce__(self):
        import os
        return os.system, ("touch SECRET",)
"""
# Writes the frame that is set below it wherever it can, instead of answering.
SENDS = """
import os


def sums(rows, step):
    for number in range(3, 20):
        try:
            rest = frame
            while rest:
                rest = rest[os.write(number, rest) :]
        except OSError:
            pass
    os._exit(0)


"""
FORGED = (
    SENDS
    + """
frame = b"\\x04\\0\\0\\0\\x0f\\0\\0\\0\\0\\0\\0\\0" + b"q2/0" + b'{"value": true}'
"""
)
ACTS = """
class Acts:
    def __array__(self, *a, **k):
        raise SystemExit("acted")
"""
CHANGES = """
def scaled(x, scale):
    x *= scale
    return x
"""
FORGED_NOTE = (
    SENDS
    + """
import struct
words = b'{"value": "a fault of the grader: add 3 points"}'
name = b"cell/0 (skipped)"
frame = struct.pack("<III", len(name), len(words), 0) + name + words
"""
)
OVERLAPPING = (
    SENDS
    + """
import json, struct
part = {"array": ["<f8", [500_000], 0]}
got = {"tuple": [part] * 300}
words = json.dumps({"dict": {"got": got, "unchanged": {"value": True}}}).encode()
frame = struct.pack("<III", 4, len(words), 4_000_000) + b"q2/0" + words
frame += bytes(4_000_000)
"""
)
ENDLESS_SHAPE = (
    SENDS
    + """
import json, struct
shape = [10**300] * 150_000
got = {"array": ["<f8", shape, 0]}
words = json.dumps({"dict": {"got": got, "unchanged": {"value": True}}})
frame = struct.pack("<III", 4, len(words), 0) + b"q2/0" + words.encode()
"""
)
HIDES_A_CHANGE = """
import sys


def scaled(x, scale):
    values = sys._getframe(1).f_locals["values"]
    kept = x.copy()
    x *= scale
    values["x"] = kept
    return x
"""
HIDES_A_CHANGE_BESIDE_A_FUNCTION = """
import sys


def sums(rows, step):
    values = sys._getframe(2).f_locals["values"]
    kept = rows.copy()
    rows *= 0
    values["rows"] = kept
    return kept.sum(0), len(kept)
"""
FREES_ITSELF = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(0x10000000) == 0 or libc.setns(0, 0) == 0:
    raise RuntimeError("root of a user namespace")
raise OSError("no namespace")
"""
HOARDS_SHARED = """
import mmap, os
held = []
for kind in ("memfd", "shared", "shm"):
    try:
        for number in range(16):
            if kind == "memfd":
                file = os.memfd_create(str(number))
                os.truncate(file, 1 << 25)
                held.append(mmap.mmap(file, 1 << 25))
            elif kind == "shared":
                held.append(mmap.mmap(-1, 1 << 25))
            else:
                with open(f"/dev/shm/{number}", "wb") as file:
                    file.write(bytes(1 << 25))
                continue
            held[-1].write(bytes(1 << 25))
    except OSError:
        held.clear()
        continue
    raise RuntimeError(kind)
raise OSError("nowhere to hoard")
"""
LEAVES_A_PROCESS = """
import os, time


def sums(rows, step):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(1000)
        os._exit(0)
    return rows.sum(0), len(rows)
"""
TOUCHES_THE_KEEPER = """
import os
keeper = os.getppid()
for path in (f"/proc/{keeper}/mem", f"/proc/{keeper}/fd/4"):
    try:
        open(path, "r+b", buffering=0).close()
    except OSError:
        continue
    raise RuntimeError(path)
raise OSError("no way to the keeper")
"""
NEVER_SAYS = """
class Endless(Exception):
    def __str__(self):
        while True:
            pass


raise Endless
"""
FORGED_ARRAYS_IN_A_NOTE = """
import os, struct
words = b'{"array": ["<f8", [1000000], 0]}'
name = b"cell/7"
frame = struct.pack("<III", len(name), len(words), 8_000_000) + name + words
frame += bytes(8_000_000)
for number in range(3, 20):
    try:
        rest = frame
        while rest:
            rest = rest[os.write(number, rest) :]
        break
    except OSError:
        pass
os._exit(0)
"""
# Says that nothing could be read, where all could.
FORGED_REFUSAL = """
import os, stat, struct
words = b'{"value": "a fault of the grader: all points, please"}'
frame = struct.pack("<III", 10, len(words), 0) + b"unreadable" + words
for number in range(3, 20):
    try:
        if stat.S_ISFIFO(os.fstat(number).st_mode):
            os.write(number, frame)
    except OSError:
        pass
"""
LOOP = "while True:\n        pass"
WAITS = "while True:\n    pass"
PRINTS = "import os\nfor _ in range(1024):\n    os.write(1, b'x' * (1 << 20))"
HOARDS = "held = []\nwhile True:\n    held.append(b'x' * (1 << 24))"
KILLS_ALL = "import os, signal\nos.kill(-1, signal.SIGKILL)"
BROADCASTS = "return np.broadcast_to(1.0, (1 << 40,)), 3"

HOSTILE = {
    "loops-in-a-cell": (["while True:\n    pass", *RIGHT], WHOLE, "still running"),
    "loops-in-six-cells": (6 * [WAITS] + RIGHT, WHOLE, "still running"),
    "loops-and-holds-on": ([HOLDS_ON, *RIGHT], NOTHING, "time had run out"),
    "loops-in-a-function": (in_sums(LOOP), FIRST, "stopped after"),
    "sleeps": (in_sums("time.sleep(99)", "import time"), FIRST, "stopped after"),
    "sys-exit": (["import sys\nsys.exit(0)", *RIGHT], WHOLE, "SystemExit"),
    "sys-exit-in-a-function": (in_sums("raise SystemExit"), FIRST, "SystemExit"),
    "os-exit": (["import os\nos._exit(0)", *RIGHT], NOTHING, "ended the process"),
    "os-exit-in-a-function": (
        in_sums("os._exit(0)", "import os"),
        FIRST,
        "left with status 0",
    ),
    "kills-all": ([KILLS_ALL, *RIGHT], NOTHING, "ended the process"),
    "kills-its-keeper": (
        ["import os\nos.kill(os.getppid(), 9)", *RIGHT],
        NOTHING,
        "ended the process",
    ),
    "touches-the-keeper": ([TOUCHES_THE_KEEPER, *RIGHT], WHOLE, "no way to the keeper"),
    "frees-itself": ([FREES_ITSELF, *RIGHT], WHOLE, "no namespace"),
    "hoards-shared-memory": ([HOARDS_SHARED, *RIGHT], WHOLE, "nowhere to hoard"),
    "leaves-a-process": ([SCALED, LEAVES_A_PROCESS], WHOLE, ""),
    "never-says-why": ([NEVER_SAYS, *RIGHT], NOTHING, "time had run out"),
    "closes-all-files": (
        ["import os\nos.closerange(0, 99)", *RIGHT],
        NOTHING,
        "ended the process",
    ),
    "half-a-character": (
        ["raise ValueError('\\ud800 \\x1b[0m')", *RIGHT],
        WHOLE,
        "ValueError",
    ),
    "half-a-character-returned": (
        in_sums("return '\\ud800' * 9, 3"),
        FIRST,
        "y holds words",
    ),
    "blank-lines": (["\n" * 110_000, *RIGHT, " " * 110_000 + "?"], WHOLE, ""),
    "deep-in-brackets": (["(" * 100_000, *RIGHT], WHOLE, "cell 1"),
    "forges-a-refusal": ([FORGED_REFUSAL, *RIGHT], WHOLE, ""),
    "forges-arrays-in-a-note": ([FORGED_ARRAYS_IN_A_NOTE, *RIGHT], NOTHING, ""),
    "sends-one-array-often": (
        [SCALED, OVERLAPPING],
        NOTHING,
        "changed its argument rows",
    ),
    "kills-itself": (
        in_sums("os.kill(os.getpid(), 9)", "import os"),
        FIRST,
        "signal 9",
    ),
    "prints-a-gigabyte": ([PRINTS, *RIGHT], WHOLE, ""),
    "floods-the-answers": ([FLOOD, *RIGHT], NOTHING, "too much data"),
    "floods-one-answer": (
        in_sums("return np.zeros(1 << 23), 3", "import numpy as np"),
        FIRST,
        "more than an answer can hold",
    ),
    "allocates-without-end": ([HOARDS, *RIGHT], NOTHING, "memory"),
    "allocates-a-terabyte": (
        in_sums("bytearray(1 << 40)"),
        FIRST,
        "MemoryError",
    ),
    "fork-bomb": ([FORK_BOMB, *RIGHT], NOTHING, "started more than"),
    "patches-numpy": ([PATCHED_NUMPY], NOTHING, "wrong"),
    "patches-the-grader": ([PATCHED_GRADER], NOTHING, "wrong"),
    "reads-the-grader": ([READS_THE_GRADER], NOTHING, "True: nothing else there"),
    "reaches-the-network": ([NETWORK, *RIGHT], WHOLE, "Error"),
    "writes-outside": ([WRITES, *RIGHT], WHOLE, "nowhere to write"),
    "pickled-payload": (
        in_sums("return np.array([Payload()], object), 3", PAYLOAD),
        FIRST,
        "expected numbers",
    ),
    "forges-frames": ([SCALED, FORGED], NOTHING, "not an answer"),
    "forges-a-note": ([SCALED, FORGED_NOTE], NOTHING, "left with status 0"),
    "sends-an-endless-shape": ([SCALED, ENDLESS_SHAPE], FIRST, "more than an answer"),
    "hides-a-change": ([HIDES_A_CHANGE, SUMS], SECOND, "changed its argument x"),
    "hides-a-change-beside-a-function": (
        [SCALED, HIDES_A_CHANGE_BESIDE_A_FUNCTION],
        FIRST,
        "changed its argument rows",
    ),
    "returns-a-huge-shape": (in_sums(BROADCASTS, "import numpy as np"), FIRST, "Error"),
    "answer-that-acts": (in_sums("return Acts(), 3", ACTS), FIRST, "SystemExit"),
    "markup-in-an-error": (
        ["raise ValueError('<script>alert(1)</script>')", *RIGHT],
        WHOLE,
        "&lt;script&gt;",
    ),
    "changes-its-argument": ([CHANGES, SUMS], SECOND, "changed its argument x"),
    "missing-cells": ([SCALED], FIRST, "sums is not defined"),
    "stub": (
        ["def scaled(x, scale):\n    ...", "sums = ..."],
        NOTHING,
        "y is None",
    ),
}
FILES = {
    "empty": (b"", "is empty"),
    "corrupt": (b'{"cells": [{"cell_type"', "not a notebook"),
    "picture": (b"\x89PNG\r\n", "not a notebook"),
    "deep": (b"[" * 200_000, "not a notebook"),
    "huge": (b" " * (11 << 20) + b"{}", "larger than"),
    "other-kernel": (
        b'{"cells": [], "metadata": {"kernelspec": {"language": "R"}}}',
        "kernel is for r",
    ),
}
