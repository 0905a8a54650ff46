"""Runs one submission inside the sandbox; knows no right answer.

It gets the submission's code cells and the arguments of every case, runs the cells,
then calls the student's functions, each question in a process of its own, and sends
back what they returned. Nothing it says is believed: the parent compares.

Self-contained, as it is sent to wherever a submission runs.
"""

import contextlib
import gc
import json
import linecache
import math
import os
import resource
import select
import signal
import struct
import sys
import time
import traceback
import types

import numpy as np

HEAD = "<III"  # lengths of a frame's name, of its outline, of its bytes
HEAD_BYTES = struct.calcsize(HEAD)
FRAME_BYTES = 1 << 26
OUTLINE_BYTES = 1 << 20
AXES = 32
KINDS = "fiubU"


def encode(value):
    """Any nesting of arrays, numbers, words, tuples and dicts as outline and bytes.

    Arrays lie behind each other in the bytes; the outline says where, and of what type
    and shape. Nothing in it is code: what comes back cannot act when it is read.
    """
    blob = bytearray()

    def visit(part):
        if part is None or isinstance(part, str):
            return {"value": part}
        if isinstance(part, types.FunctionType):  # among the arguments
            return {"value": None}
        if type(part).__name__ == "Given":  # the class lives where child.py does not
            return {"given": part.name}
        if isinstance(part, (tuple, list)):
            return {"tuple": [visit(entry) for entry in part]}
        if isinstance(part, dict):
            return {"dict": {str(key): visit(entry) for key, entry in part.items()}}
        if isinstance(part, (bool, int, float)) and not isinstance(part, np.generic):
            return {"value": part}
        array = np.asarray(part)
        if array.dtype.kind not in KINDS:
            return {"other": type(part).__name__}
        start = len(blob)
        blob.extend(np.ascontiguousarray(array).tobytes())
        return {"array": [array.dtype.str, list(array.shape), start]}

    return json.dumps(visit(value)).encode(), bytes(blob)


def decode(outline, blob, given=None):
    """What `encode` was given.

    Args:
        outline: bytes of JSON.
        blob: the arrays.
        given: functions by name, which take the places of `Given`.

    Raises:
        ValueError: anything that `encode` does not write.
    """
    if len(outline) > OUTLINE_BYTES:
        raise ValueError("more parts than an answer can have")

    def visit(part, depth=0):
        if depth > 20 or not isinstance(part, dict) or len(part) != 1:
            raise ValueError("what came back is not an answer")
        ((kind, content),) = part.items()
        if kind == "value":
            return content
        if kind == "given":
            return given[content]
        if kind == "tuple":
            return tuple(visit(entry, depth + 1) for entry in content)
        if kind == "dict":
            return {key: visit(entry, depth + 1) for key, entry in content.items()}
        if kind == "array":
            name, shape, start = content
            dtype = np.dtype(name)
            if dtype.kind not in KINDS:
                raise ValueError(f"an array of {name}; expected numbers")
            if len(shape) > AXES or not all(0 <= n <= FRAME_BYTES for n in shape):
                raise ValueError("an array of no possible shape")
            count = math.prod(shape)
            flat = np.frombuffer(blob, dtype, count, start) if count else []
            return np.array(flat, dtype).reshape(shape)
        raise ValueError(f"returned {content}; expected numbers")

    return visit(json.loads(outline))


def pack(name, value):
    """One frame."""
    return frame_of(name, *encode(value))


def unpack(stream):
    """Complete frames in bytes, as `(name, outline, blob)`; what follows is ignored."""
    at = 0
    while len(stream) - at >= HEAD_BYTES:
        sizes = struct.unpack_from(HEAD, stream, at)
        at += HEAD_BYTES
        if len(stream) - at < sum(sizes):
            return
        parts = []
        for size in sizes:
            parts.append(bytes(stream[at : at + size]))
            at += size
        yield parts[0].decode(errors="replace"), parts[1], parts[2]


def main():
    """Read the job from standard input, run it, write frames to standard output."""
    job = sys.stdin.buffer.read()
    out = os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):  # what the submission prints is nobody's business
        os.dup2(nowhere, number)
    frames = {name: (outline, blob) for name, outline, blob in unpack(job)}
    plan = decode(*frames.pop("plan"))
    if plan["uid"]:
        os.setgroups([])
        os.setgid(plan["uid"])
        os.setuid(plan["uid"])
    limit(plan)
    os.chdir(plan["folder"])
    given = {}
    exec(plan["given"], given)
    namespace = run_cells(plan["cells"], plan["seconds"], plan["patience"], out)
    for question in plan["questions"]:
        cases = {
            name: frame
            for name, frame in frames.items()
            if name.partition("/")[0] == question["name"]
        }
        ask(question, cases, namespace, given, plan["patience"], out)
    send(out, "end", None)
    os._exit(0)  # threads that the submission left do not matter


def limit(plan):
    """Hard limits, which no code here can lift again."""
    limit_processor(plan["seconds_in_all"])
    for what, value in (
        (resource.RLIMIT_AS, 4 * plan["memory"]),
        (resource.RLIMIT_FSIZE, FRAME_BYTES),
        (resource.RLIMIT_NPROC, plan["processes"]),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):  # lower already
            resource.setrlimit(what, (value, value))


def limit_processor(seconds):
    """End this process with SIGXCPU when it has computed that long."""
    most = math.ceil(seconds)
    with contextlib.suppress(ValueError, OSError):  # lower already
        # A second later comes SIGKILL, which nothing can catch.
        resource.setrlimit(resource.RLIMIT_CPU, (most, most + 1))


class Silent:
    """Takes the place of the notebook's `grader`: public checks earn nothing here."""

    def __init__(self, *_, **__):
        pass

    def check(self, *_, **__):
        """Do nothing."""

    check_all = check


def run_cells(cells, seconds, patience, out):
    """Run code cells in order; one that fails does not stop those after it."""
    import unrolled.course.assignments  # its place is known only now

    namespace = {"__name__": "__main__"}
    unrolled.course.assignments.Grader = Silent
    ends = time.process_time() + seconds
    for number, source in cells:
        left = max(ends - time.process_time(), 0.2)
        try:
            with alarm(left, patience):
                name = f"cell {number}"
                linecache.cache[name] = len(source), None, source.splitlines(True), name
                exec(compile(source, name, "exec"), namespace)
        except BaseException as error:  # also SystemExit, KeyboardInterrupt
            send(out, f"cell/{number}", describe(error))
    return namespace


@contextlib.contextmanager
def alarm(seconds, patience):
    """Raise TimeoutError in the code below when it has computed long enough.

    Processor time counts: how busy the machine is must not decide on marks. What
    sleeps takes none, so `patience` times as many seconds on the clock end it too.
    """

    def ring(*_):
        raise TimeoutError(f"still running after {seconds:.0f} s")

    timers = (
        (signal.ITIMER_PROF, signal.SIGPROF, seconds),
        (signal.ITIMER_REAL, signal.SIGALRM, seconds * patience),
    )
    for timer, number, after in timers:
        signal.signal(number, ring)
        signal.setitimer(timer, after)
    try:
        yield
    finally:
        for timer, _, _ in timers:
            signal.setitimer(timer, 0)


def ask(question, cases, namespace, given, patience, out):
    """Call one question's function with its cases, in a process of its own."""
    function = namespace.get(question["function"], ...)
    if not callable(function):
        says = "is not defined" if function is ... else "is no function"
        send(out, f"{question['name']}/-", f"{question['function']} {says}")
        return
    read, write = os.pipe()
    gc.freeze()
    child = os.fork()
    if child == 0:
        os.setsid()
        os.close(read)
        limit_processor(question["seconds"])
        for name, frame in cases.items():
            answer(name, frame, function, given, write)
        os._exit(0)
    os.close(write)
    stream, ended = collect(read, time.monotonic() + question["seconds"] * patience)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    answered = set()
    for name, outline, blob in unpack(stream):
        if name.removesuffix("!") not in cases:  # made up by the submission
            continue
        answered.add(name.removesuffix("!"))
        os_write(out, frame_of(name, outline, blob))
    if set(cases) - answered:
        send(out, f"{question['name']}/-", how_it_ended(ended, status, question))


def how_it_ended(ended, status, question):
    """Why a question's process did not answer every case."""
    took_long = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU
    if took_long or not ended:
        return f"stopped after {question['seconds']:g} s"
    if os.WIFSIGNALED(status):
        return f"its process was killed by signal {os.WTERMSIG(status)}"
    return f"its process left with status {os.waitstatus_to_exitcode(status)}"


def answer(name, frame, function, given, write):
    """Send what a function makes of one case, and its arguments as it left them."""
    try:
        arguments = decode(*frame, given)
        got = function(**arguments)
        send(write, name, {"got": got, "left": arguments})
    except BaseException as error:
        send(write, f"{name}!", describe(error))


def collect(read, deadline):
    """Bytes from a pipe until it ends, or until the deadline; and whether it ended."""
    stream = bytearray()
    while len(stream) < FRAME_BYTES:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([read], [], [], left)[0]:
            return stream, False
        more = os.read(read, 1 << 16)
        if not more:
            return stream, True
        stream += more
    return stream, False


def describe(error):
    """An error and the line of the notebook where it came up, in one line."""
    text = f"{type(error).__name__}: {error}"[:300]
    places = [
        f"{entry.filename}, line {entry.lineno}"
        for entry in traceback.extract_tb(error.__traceback__)
        if entry.filename.startswith("cell ")
    ]
    return f"{text} ({places[-1]})" if places else text


def send(out, name, value):
    """Write one frame."""
    os_write(out, pack(name, value))


def frame_of(name, outline, blob):
    """A frame from its parts."""
    name = name.encode()
    return struct.pack(HEAD, len(name), len(outline), len(blob)) + name + outline + blob


def os_write(number, data):
    """Write all of it."""
    view = memoryview(data)
    while view:
        view = view[os.write(number, view) :]


if __name__ == "__main__":
    main()
