"""How every command line here starts and ends."""

import sys


def run(main, interrupted="Interrupted."):
    """Run a command line and exit with its status.

    Where a console lacks a character, such as an ellipsis, its code is shown instead.
    Ctrl-C ends the command with a sentence and status 130, without a traceback.

    Args:
        main: takes no arguments and returns the exit status.
        interrupted: the sentence.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")
    try:
        status = main()
    except KeyboardInterrupt:
        print(f"\n{interrupted}", file=sys.stderr)
        status = 130
    sys.exit(status)
