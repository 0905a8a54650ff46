"""How every command line here starts and ends, and how it keeps others waiting."""

# tools/setup.py needs this, on older Pythons too: nothing newer than f-strings.
import argparse
import contextlib
import errno
import os
import signal
import sys

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

# What stands in the way where a file cannot be written, and what to do about it.
REASONS = {
    errno.ENOSPC: "the disk is full: make room",
    errno.EDQUOT: "your share of the disk is full: make room",
    errno.EROFS: "nothing can be written there: use a folder that is yours",
    errno.EACCES: "access is denied: use a folder that is yours",
    errno.EEXIST: "something else lies there: move it away",
    errno.EISDIR: "something else lies there: move it away",
    errno.ENOTDIR: "something else lies there: move it away",
    errno.EPERM: "access is denied: use a folder that is yours",
}


def parser(module, text):
    """Return a parser for `python -m MODULE`; the first line of `text` describes it."""
    return argparse.ArgumentParser(
        prog="python -m " + module, description=text.split("\n")[0]
    )


def run(main, interrupted="Interrupted."):
    """Run a command line and exit with its status.

    Where a console lacks a character, such as an ellipsis, its code is shown instead.
    Ctrl-C ends the command with a sentence and status 130, without a traceback; so do
    the signals by which `kill` and a closed terminal end it. A full disk or a folder
    that cannot be written ends it with a sentence and status 1.

    Args:
        main: takes no arguments and returns the exit status.
        interrupted: the sentence.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name) and hears(name):
            signal.signal(getattr(signal, name), interrupt)
    try:
        status = main()
    except KeyboardInterrupt:
        print("\n" + interrupted, file=sys.stderr)
        status = 130
    except OSError as error:
        if error.errno not in REASONS:
            raise
        print("\n" + explain(error), file=sys.stderr)
        status = 1
    sys.exit(status)


def hears(name):
    """Whether a signal has its usual effect: `nohup` has SIGHUP ignored."""
    return signal.getsignal(getattr(signal, name)) == signal.SIG_DFL


def interrupt(*_):
    """Do as Ctrl-C does."""
    raise KeyboardInterrupt


def explain(error):
    """A sentence on an `OSError`: where, why, and what to do."""
    where = error.filename if error.filename is not None else "A file"
    why = REASONS.get(error.errno, error.strerror or str(error))
    return f"{os.fsdecode(where)} cannot be written: {why}, then try again."


@contextlib.contextmanager
def alone(path, what):
    """Hold a lock while this runs: a second command waits until the first has ended.

    The system takes the lock back from a command that was killed. Where it has no
    locks, as on some network drives, or nothing can be written, nothing waits.

    Args:
        path: of the file that is locked; made if need be, and left there.
        what: what runs, such as "build".
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError:
        yield
        return
    with file:
        try:
            lock(file)
        except BlockingIOError:
            print(f"Waiting for another {what} in {path.parent} to end.", flush=True)
            lock(file, wait=True)
        yield


def lock(file, wait=False):
    """Lock an open file.

    Raises:
        BlockingIOError: another process has locked it, and `wait` is false.
    """
    if fcntl is None:
        lock_on_windows(file, wait)
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        raise
    except OSError:  # no locks here
        pass


def lock_on_windows(file, wait):
    """Lock an open file's first byte, as `lock` does."""
    while True:
        try:  # LK_LOCK tries for ten seconds
            file.seek(0)
            how = msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK
            msvcrt.locking(file.fileno(), how, 1)
            return
        except OSError as error:
            if not wait:
                raise BlockingIOError(errno.EAGAIN, "locked") from error
