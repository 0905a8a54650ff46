"""Runs one submission inside the sandbox; knows no right answer.

There are three sorts of processes, one below the other:

* The *keeper* runs no line of the submission. It keeps the arguments of every case in
  memory that it shares with the others, passes on what they send, and sees in the end
  which arguments were changed.
* The *runner* reads the notebook and runs its cells.
* Each question's function is called in a process of its own.

Nothing that the last two say is believed: the parent compares. It is sent as text to
wherever a submission runs, and needs NumPy and the book's package there.
"""

import ast
import collections
import collections.abc
import contextlib
import gc
import importlib
import importlib.util
import inspect
import json
import linecache
import math
import mmap
import os
import re
import resource
import select
import signal
import struct
import sys
import tempfile
import time
import traceback
import types
import zlib
from pathlib import Path

import numpy as np

from unrolled.checks import find_lost
from unrolled.course import assignments

HEAD = "<III"  # lengths of a frame's name, of its outline, of its bytes
HEAD_BYTES = struct.calcsize(HEAD)
FILE_BYTES = 1 << 25  # of any file that a submission writes
MOST_BYTES = 1 << 24  # of all that it sends
OUTLINE_BYTES = 1 << 18
ALIGNED = 16  # arrays begin at multiples of this, as NumPy likes them
AXES = 32
DTYPE = re.compile(r"[<|](f[248]|f16|[iu][1248]|b1|c8|c16|c32|U\d{1,4})\Z")
SKIPPED = re.compile(r"\s*# experiment\b")
IMPORTED = re.compile(r"^[ \t]*(?:from|import)[ \t]+([A-Za-z_][\w.]*)", re.MULTILINE)
MOST_IMPORTED = 50  # modules that are imported before the clock runs
AT_LEAST = 0.2  # seconds for a cell after the time of all is over
MOST_FAILED = 20  # cells of which it is told why they failed
ROWS = (tuple, list, collections.deque, collections.abc.ValuesView)
DUMPABLE = 4  # PR_SET_DUMPABLE
COLAB = ("auth", "data_table", "drive", "files", "output", "patches", "userdata")
# Cell magics whose body is no Python, or leaves nothing behind.
NOT_RUN = {
    *("!", "bash", "cmd", "file", "html", "javascript", "js", "latex", "markdown"),
    *("perl", "pypy", "python", "python2", "python3", "ruby", "script", "sh", "svg"),
    *("sx", "system", "timeit", "writefile"),
}


class Unreadable(ValueError):
    """A submission that is no notebook in Python."""


# ---------------------------------------------------------------- what is sent


def encode(value, *, compact=False):
    """Any nesting of arrays, numbers, words, tuples and dicts as outline and bytes.

    Arrays lie behind each other in the bytes, each at the next multiple of ALIGNED; the
    outline says where, and of what type and shape. Nothing in it is code: what comes
    back cannot act when it is read.

    Args:
        value: what to send.
        compact: whether lists of plain numbers may become arrays.
    """
    blob = bytearray()

    def visit(part):
        if part is None or isinstance(part, str):
            return {"value": part}
        if isinstance(part, types.FunctionType):  # among the arguments
            return {"value": None}
        if isinstance(part, assignments.Given):
            return {"given": part.name}
        if isinstance(part, ROWS) and not (compact and only_numbers(part)):
            return {"tuple": [visit(entry) for entry in part]}
        if isinstance(part, dict):
            return {"dict": {str(key): visit(entry) for key, entry in part.items()}}
        if type(part) in (bool, int, float):
            return {"value": part}
        array = as_array(part)
        arrays = isinstance(part, np.ndarray) and part.dtype.hasobject and part.ndim
        if array is None and arrays:
            return {"tuple": [visit(entry) for entry in part]}
        if array is None:
            return {"other": type(part).__name__[:100]}
        start = aligned(len(blob))
        blob.extend(bytes(start - len(blob)))
        blob.extend(array.tobytes())
        return {"array": [array.dtype.str, list(array.shape), start]}

    return json.dumps(visit(value)).encode(), bytes(blob)


def only_numbers(entries):
    """Whether a list holds plain numbers of one type, and may travel as an array."""
    return {type(entry) for entry in entries} in ({float}, {int})


def aligned(end):
    """Where the next array begins, behind what ends there."""
    return -(-end // ALIGNED) * ALIGNED


def as_array(value):
    """An array of numbers, truth values or words, little-endian; None if it is none."""
    if find_lost(value):  # masks, units: NumPy would drop them silently
        return None
    array = np.asarray(value)
    if array.dtype == object:  # Fractions, Decimals, tensors in a list
        try:
            array = array.astype(float)
        except (TypeError, ValueError):
            return None
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return array if DTYPE.match(array.dtype.str) else None


def decode(outline, blob, given=None, *, copy=True):
    """What `encode` was given.

    Args:
        outline: bytes of JSON.
        blob: the arrays.
        given: functions by name, which take the places of `Given`.
        copy: whether arrays get memory of their own; otherwise they look into `blob`.

    Raises:
        ValueError: anything that `encode` does not write.
    """
    if len(outline) > OUTLINE_BYTES:
        raise ValueError("more parts than an answer can have")
    end = 0

    def visit(part, depth=0):
        nonlocal end
        if depth > 20 or not isinstance(part, dict) or len(part) != 1:
            raise ValueError("what came back is not an answer")
        ((kind, content),) = part.items()
        if kind == "value" and (
            content is None or isinstance(content, (str, int, float))
        ):
            return content
        if kind == "given" and isinstance(content, str) and content in (given or {}):
            return given[content]
        if kind == "tuple" and isinstance(content, list):
            return tuple(visit(entry, depth + 1) for entry in content)
        if kind == "dict" and isinstance(content, dict):
            return {key: visit(entry, depth + 1) for key, entry in content.items()}
        if kind == "array" and isinstance(content, list) and len(content) == 3:
            array, end = view(*content, blob, end)
            return array.copy() if copy else array
        if kind == "other":
            raise ValueError(f"returned {str(content)[:100]}; expected numbers")
        raise ValueError("what came back is not an answer")

    try:
        parts = json.loads(outline)
    except (ValueError, RecursionError):
        raise ValueError("what came back is not an answer") from None
    value = visit(parts)
    if end != len(blob):
        raise ValueError("what came back is not an answer")
    return value


def view(name, shape, start, blob, end):
    """An array in `blob`, behind what ends at `end`; and where it ends itself."""
    if not isinstance(name, str) or not DTYPE.match(name):
        raise ValueError("an array of no type that an answer can have")
    sizes = isinstance(shape, list) and len(shape) <= AXES
    if not sizes or not all(type(n) is int and 0 <= n <= FILE_BYTES for n in shape):
        raise ValueError("an array of no possible shape")
    if type(start) is not int or start != aligned(end):  # overlaps would fill memory
        raise ValueError("what came back is not an answer")
    dtype, count = np.dtype(name), math.prod(shape)
    if count * dtype.itemsize > len(blob) - start:
        raise ValueError("an array of no possible shape")
    flat = np.frombuffer(blob, dtype, count, start) if count else np.empty(0, dtype)
    return flat.reshape(shape), start + flat.nbytes


def pack(name, value, *, compact=False):
    """One frame; see `encode`."""
    return frame_of(name, *encode(value, compact=compact))


def frame_of(name, outline, blob):
    """A frame from its parts."""
    name = name.encode(errors="replace")
    return struct.pack(HEAD, len(name), len(outline), len(blob)) + name + outline + blob


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


def send(out, name, value):
    """Write one frame."""
    write_all(out, pack(name, value))


def write_all(number, data):
    """Write all of it."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(number, rest) :]


# ---------------------------------------------------------------- the keeper


def main():
    """Read the job from standard input, run it, write frames to standard output."""
    job = sys.stdin.buffer.read()
    out = os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):  # what the submission prints is nobody's business
        os.dup2(nowhere, number)
    frames = {name: (outline, blob) for name, outline, blob in unpack(job)}
    plan = decode(*frames.pop("plan"))
    _, notebook = frames.pop("notebook")
    del job
    os.chdir(plan["folder"])
    given = {}
    exec(plan["given"], given)
    arguments = Arguments(frames, given)
    limit(plan)
    protect(True)
    read, write = os.pipe()
    gc.freeze()
    go, begin = os.pipe()
    runner = os.fork()  # fails where there are too many processes: nothing has begun
    if runner == 0:
        os.close(begin)
        os.read(go, 1)
        os.close(go)
        os.close(read)
        os.close(out)
        try:
            run(plan, notebook, arguments, write)
        finally:
            os._exit(0)  # threads that the submission left do not matter
    os.close(write)
    os.close(go)
    send(out, "begun", None)
    os.close(begin)
    ends = time.monotonic() + plan["seconds_in_all"] * plan["patience"]
    stream, how = collect(read, runner, ends, MOST_BYTES + 1)
    send(out, "runner", how)
    send(out, "changed", arguments.changed())
    # The answers last: without what goes before, none of them counts.
    write_all(out, frame_of("told", b"", bytes(stream)))
    send(out, "end", None)
    os._exit(0)


def limit(plan):
    """Give up rights; set hard limits, which no code here can lift again."""
    if plan["uid"]:
        os.setgroups([])
        os.setgid(plan["uid"])
        os.setuid(plan["uid"])
    for what, value in (
        ("RLIMIT_AS", 4 * plan["memory"]),
        ("RLIMIT_FSIZE", FILE_BYTES),
        ("RLIMIT_NPROC", plan["processes"]),
        ("RLIMIT_NOFILE", 256),
        ("RLIMIT_CORE", 0),
        ("RLIMIT_MSGQUEUE", 0),
    ):
        with contextlib.suppress(AttributeError, ValueError, OSError):  # lower already
            resource.setrlimit(getattr(resource, what), (value, value))


def limit_processor(seconds):
    """End this process with SIGXCPU when it has computed that long."""
    most = math.ceil(seconds)
    with contextlib.suppress(ValueError, OSError):  # lower already
        # A second later comes SIGKILL, which nothing can catch.
        resource.setrlimit(resource.RLIMIT_CPU, (most, most + 1))


def protect(wanted):
    """Whether other processes of this user are kept out of this one's memory."""
    import ctypes

    with contextlib.suppress(AttributeError, OSError):  # Linux only
        ctypes.CDLL(None).prctl(DUMPABLE, int(not wanted), 0, 0, 0)


class Arguments:
    """Arguments of all cases, in memory that is shared with the submission.

    A function that changes its arguments changes them here, whatever it puts back in
    their place in the frames above it.

    Args:
        frames: `(outline, blob)` by the case's name.
        given: functions by name, as `decode` takes them.
    """

    def __init__(self, frames, given):
        self.frames, self.given = frames, given
        self.places, end = {}, 0
        for name, (_, blob) in frames.items():
            self.places[name] = end, end + len(blob)
            end = aligned(end + len(blob))
        with tempfile.TemporaryFile(dir=".") as file:
            file.truncate(end + 1)  # a map of nothing cannot be
            self.shared = mmap.mmap(file.fileno(), end + 1)
        for name, (_, blob) in frames.items():
            start, stop = self.places[name]
            self.shared[start:stop] = blob

    def of(self, name):
        """Arguments of one case, with arrays in shared memory."""
        start, stop = self.places[name]
        blob = memoryview(self.shared)[start:stop]
        return decode(self.frames[name][0], blob, self.given, copy=False)

    def changed(self):
        """By case, the argument whose numbers are others than they were."""
        found = {}
        for name, (outline, blob) in self.frames.items():
            start, stop = self.places[name]
            if self.shared[start:stop] != blob:
                before = decode(outline, blob, self.given, copy=False)
                after = self.of(name)
                differ = [key for key in before if not same(before[key], after[key])]
                found[name] = differ[0] if differ else ""
        return found


def same(one, other):
    """Whether two values are the same, to the bit."""
    return encode(one) == encode(other)


def collect(read, process, ends, most):
    """Bytes from a pipe for as long as a process lives.

    What it leaves behind may hold the pipe open, so its end is not waited for.

    Args:
        read: end of the pipe.
        process: whose end is waited for.
        ends: time of `time.monotonic` at which it is stopped.
        most: bytes after which it is stopped.

    Returns:
        `(bytes, how it ended)`: "status S", "signal S", "time" or "flood".
    """
    stream, status, is_open = bytearray(), None, True
    while status is None or is_open:
        wait = 0 if status is not None else 0.02
        if not is_open:
            time.sleep(wait)
        elif select.select([read], [], [], wait)[0]:
            more = os.read(read, 1 << 16)
            stream += more
            is_open = bool(more)
        elif status is not None:
            break
        if len(stream) >= most or time.monotonic() > ends:
            break
        if status is None:
            status = status_of(process, os.WNOHANG)
    how = "flood" if len(stream) >= most else "time"
    with contextlib.suppress(OSError):
        os.killpg(process, signal.SIGKILL)
    if status is None:
        with contextlib.suppress(OSError):
            os.kill(process, signal.SIGKILL)
        status_of(process, 0)
    elif how == "time":
        how = f"status {os.WEXITSTATUS(status)}"
        if os.WIFSIGNALED(status):
            how = f"signal {os.WTERMSIG(status)}"
    return stream, how


def status_of(process, options):
    """A child's exit status, or None while it runs."""
    try:
        ended, status = os.waitpid(process, options)
    except ChildProcessError:  # the submission has waited for it, or has it ignored
        return 0
    return status if ended else None


# ---------------------------------------------------------------- the runner


def run(plan, notebook, arguments, out):
    """Run the notebook's cells, then each question's function on its cases."""
    os.setsid()
    protect(False)
    with contextlib.suppress(OSError):  # if memory runs out, the keeper stays
        Path("/proc/self/oom_score_adj").write_text("500", "ascii")
    try:
        cells = read_cells(notebook)
    except Unreadable as error:
        send(out, "unreadable", str(error))
        return
    send(out, "read", None)
    for name in wanted(plan["imports"], cells):  # before the submission's clock runs
        with contextlib.suppress(BaseException):  # its cell will say why
            importlib.import_module(name)
    # The alarm stops a cell; this, what does not let itself be stopped.
    most = plan["seconds"] + AT_LEAST * min(len(cells), MOST_FAILED) + 1
    limit_processor(time.process_time() + most)
    namespace = run_cells(cells, plan["seconds"], plan["patience"], out)
    for question in plan["questions"]:
        cases = [
            name
            for name in arguments.places
            if name.partition("/")[0] == question["name"]
        ]
        ask(question, cases, arguments, namespace, plan["patience"], out)
    send(out, "end", None)


def read_cells(data):
    """Numbered code cells of a notebook that the grader runs.

    Args:
        data: bytes of the file.

    Returns:
        list of `(number, source)`; experiments are left out.

    Raises:
        Unreadable: says why.
    """
    if not data.strip():
        raise Unreadable("the file is empty")
    try:
        notebook = json.loads(data)
        if isinstance(notebook, dict) and "worksheets" in notebook:
            raise Unreadable(
                "the notebook is in a format of before 2015: open it in Jupyter, save "
                "it, and hand it in again"
            )
        metadata = notebook.get("metadata") or {}
        language = str(
            (metadata.get("kernelspec") or {}).get("language")
            or (metadata.get("language_info") or {}).get("name")
            or "python"
        )
        code = [cell for cell in notebook["cells"] if cell.get("cell_type") == "code"]
        sources = [
            ""
            .join(cell.get("source") or "")
            .removeprefix("\ufeff")
            .replace("\r\n", "\n")
            for cell in code
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, Unreadable):
            raise
        why = f"the file is not a notebook ({type(error).__name__})"
        raise Unreadable(why) from None
    if "python" not in language.lower():
        raise Unreadable(
            f"the notebook's kernel is for {language[:40]}; expected python"
        )
    return [
        (number, source)
        for number, source in enumerate(sources, 1)
        if not SKIPPED.match(source)
    ]


def wanted(names, cells):
    """Modules to import before the clock runs: heavy ones take as long as a question.

    Args:
        names: of modules that magics import, or others.
        cells: as `read_cells` returns them.
    """
    found = [name for name in names if any(top(name) in text for _, text in cells)]
    found += [name for _, text in cells for name in IMPORTED.findall(text)]
    return [*dict.fromkeys(found)][:MOST_IMPORTED]


def top(name):
    """The package of a module."""
    return name.partition(".")[0]


class Silent:
    """Takes the place of the notebook's `grader`: public checks earn nothing here."""

    def __init__(self, *_, **__):
        pass

    def check(self, *_, **__):
        """Do nothing."""

    check_all = check


class Anything:
    """Takes the place of a module that is not here: has every name, does nothing.

    What it decorates stays as it is.
    """

    __path__, __spec__ = (), None

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything()

    def __call__(self, *arguments, **__):
        """Do nothing."""
        if len(arguments) == 1 and inspect.isfunction(arguments[0]):
            return arguments[0]
        return Anything()


class Shell(Anything):
    """Takes the place of IPython's shell.

    Magics that run Python run it; all others, and commands of the system, do nothing.

    Args:
        execute: function of source that runs it in the notebook's namespace.
    """

    def __init__(self, execute):
        self.execute = execute

    def run_line_magic(self, name, line, *_, **__):
        """`%name line`."""
        if name == "pylab":
            return self.execute("from pylab import *")
        return self.execute(line) if name in ("time", "prun", "memit") else None

    def run_cell_magic(self, name, line, body):
        """`%%name line`, and the body below it."""
        if name not in NOT_RUN:
            self.execute(body)

    def getoutput(self, *_, **__):
        """`!command` whose lines are wanted."""
        return []


def run_cells(cells, seconds, patience, out):
    """Run code cells in order; one that fails does not stop those after it."""
    assignments.Grader = Silent
    notebook = types.ModuleType("__main__")
    sys.modules["__main__"] = notebook  # what the submission takes itself to be
    namespace = vars(notebook)

    def execute(source, name="magic"):
        return execute_cell(source, name, namespace)

    shell = Shell(execute)
    namespace["get_ipython"] = lambda: shell
    namespace["display"] = lambda *_, **__: None
    stand_in(shell, any("IPython" in source for _, source in cells))
    left, failed = seconds, 0
    for number, source in cells:
        began = time.process_time()
        try:
            with alarm(max(left, AT_LEAST), patience):
                without = execute_anyhow(source, f"cell {number}", execute)
        except BaseException as error:  # also SystemExit, KeyboardInterrupt
            without = [describe(error)]
        if without and failed < MOST_FAILED:
            failed += 1
            send(out, f"cell/{number}", "; ".join(without))
        left -= time.process_time() - began
    return namespace


def stand_in(shell, wants_ipython):
    """Let what notebooks import from where they come from be imported here too."""
    if importlib.util.find_spec("google") is None:
        sys.modules["google"] = Anything()
    sys.modules["google.colab"] = Anything()
    for name in COLAB:
        sys.modules[f"google.colab.{name}"] = Anything()
    if wants_ipython:
        import IPython

        IPython.get_ipython = IPython.core.getipython.get_ipython = lambda: shell


def execute_anyhow(source, name, execute):
    """Run a cell, without the modules that are not here; returns what it lacked."""
    lacked = {}
    while True:
        try:
            execute(source, name)
        except ModuleNotFoundError as error:
            if error.name in lacked or len(lacked) == MOST_IMPORTED:
                raise
            lacked[error.name] = f"{describe(error)}, went on without it"
            sys.modules[error.name] = Anything()
        else:
            return [*lacked.values()]


def execute_cell(source, name, namespace):
    """Run source as a notebook does; returns the value if it is one expression."""
    source = plain_python(source)
    linecache.cache[name] = len(source), None, source.splitlines(True), name
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    try:
        code = compile(source, name, "eval", flags, dont_inherit=True)
    except SyntaxError:
        code = compile(source, name, "exec", flags, dont_inherit=True)
    value = eval(code, namespace)
    if code.co_flags & inspect.CO_COROUTINE:
        import asyncio

        return asyncio.run(value)
    return value


def plain_python(source):
    """Source of a cell without the notation that only notebooks know."""
    try:
        ast.parse(source)
    except SyntaxError:
        pass
    else:  # a line that begins with % continues the one above it
        return source
    from IPython.core.inputtransformer2 import TransformerManager

    return TransformerManager().transform_cell(source)


@contextlib.contextmanager
def alarm(seconds, patience):
    """Raise TimeoutError in the code below when it has computed long enough.

    Processor time counts: how busy the machine is must not decide on marks. What
    sleeps takes none, so `patience` times as many seconds on the clock end it too.
    """

    def ring(*_):
        raise TimeoutError(f"still running after {seconds:.2g} s")

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


def ask(question, cases, arguments, namespace, patience, out):
    """Call one question's function with its cases, in a process of its own."""
    function = namespace.get(question["function"], ...)
    if not callable(function):
        says = "is not defined" if function is ... else "is no function"
        send(out, f"{question['name']}/-", f"{question['function']} {says}")
        return
    read, write = os.pipe()
    process = os.fork()
    if process == 0:
        os.setsid()
        os.close(read)
        limit_processor(question["seconds"])
        for name in cases:
            answer(name, arguments, function, write)
        os._exit(0)
    os.close(write)
    ends = time.monotonic() + question["seconds"] * patience
    stream, how = collect(read, process, ends, MOST_BYTES)
    os.close(read)
    answered = set()
    for name, outline, blob in unpack(stream):
        if name.removesuffix("!") not in cases:  # made up by the submission
            continue
        answered.add(name.removesuffix("!"))
        write_all(out, frame_of(name, outline, blob))
    if set(cases) - answered:
        send(out, f"{question['name']}/-", in_words(how, question["seconds"]))
        if how in ("time", "signal 9"):  # the machine may be busy, or out of memory
            send(out, "again", None)


def in_words(how, seconds):
    """Why a question's process did not answer every case."""
    kind, _, number = how.partition(" ")
    if kind == "flood":
        return "sent more than an answer can hold"
    if kind == "status":
        return f"its process left with status {number}"
    if kind == "time" or int(number) == signal.SIGXCPU:
        return f"stopped after {seconds:g} s"
    return f"its process was killed by signal {number}"


def answer(name, arguments, function, write):
    """Send what a function makes of one case, and whether its arguments are as before.

    Numbers in arrays are compared by the keeper; here, all else.
    """
    try:
        values = arguments.of(name)
        before = digest(values)
        got = call(function, values)
        sent = {"got": got, "unchanged": before == digest(values)}
        frame = pack(name, sent, compact=True)
        if len(frame) >= MOST_BYTES:
            raise ValueError("returned more than an answer can hold")
        write_all(write, frame)
    except BaseException as error:
        send(write, f"{name}!", describe(error))


def call(function, values):
    """Call a function as the hand-out does, whatever its parameters are called."""
    try:
        inspect.signature(function).bind(**values)
    except TypeError:
        return function(*values.values())
    except ValueError:  # it has no signature
        pass
    return function(**values)


def digest(values):
    """A number that changes with the values."""
    return zlib.crc32(b"".join(encode(values)))


def describe(error):
    """An error and the line of the notebook where it came up, in one line."""
    text = f"{type(error).__name__}: {error}"[:300]
    places = [
        f"{entry.filename}, line {entry.lineno}"
        for entry in traceback.extract_tb(error.__traceback__)
        if entry.filename.startswith("cell ")
    ]
    return f"{text} ({places[-1]})" if places else text


if __name__ == "__main__":
    main()
