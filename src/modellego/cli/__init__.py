"""The command `modellego`: one subcommand per file, errors in one line, exit code 2."""

import os
import signal
import sys
import threading
from typing import Any

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; Ctrl-C ends it with exit code 130 and no traceback, while it still imports too."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115  # None where it was closed before the start
    ours = threading.current_thread() is threading.main_thread()
    if ours:
        before = signal.signal(signal.SIGINT, _leave)  # an interrupted import would leave half a library behind
    from modellego.cli.app import main as run

    if ours:
        signal.signal(signal.SIGINT, before)
        sys.unraisablehook = _unless_interrupted
    try:
        run(arguments)
    finally:
        try:
            sys.stdout.flush()
        except BrokenPipeError:  # whoever read our output has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _leave(number: int, frame: Any) -> None:
    os._exit(128 + number)


def _unless_interrupted(problem: Any) -> None:
    """Say nothing of a Ctrl-C that fell into a destructor."""
    if problem.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(problem)
