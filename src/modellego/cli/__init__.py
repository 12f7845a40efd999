"""The command `modellego`: one subcommand per file, errors in one line, exit code 2."""

import os
import sys

from modellego.cli.interrupts import interruptible

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; Ctrl-C ends it with exit code 130 and no traceback, while it still imports too."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115  # None where it was closed before the start
    try:
        with interruptible():
            from modellego.cli.app import main as run

            run(arguments)
    finally:
        try:
            sys.stdout.flush()
        except BrokenPipeError:  # whoever read our output has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
