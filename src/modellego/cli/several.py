"""Several processes of one command, as `torchrun` starts them: what is shared out, and which one of them is heard."""

import os
import sys

import typer

from modellego.errors import LegoError

SHARED = ("disassemble", "assemble", "evaluate")  # the commands whose work is shared out


def alone() -> bool:
    """Return whether this is the only process of the command."""
    return int(os.environ.get("WORLD_SIZE", "1")) < 2 or "RANK" not in os.environ


def join(context: typer.Context) -> None:
    """Let a command share its work with the other processes until it ends; all but the first say nothing.

    Raises:
        LegoError: the command is not shared out, or the others cannot be reached.
    """
    command = context.invoked_subcommand
    if alone() or command is None:
        return
    if command not in SHARED:
        raise LegoError(f"{command} runs in one process: start it without torchrun, which serves {', '.join(SHARED)}")
    from modellego.distributed import joined, rank

    context.with_resource(joined())
    if rank() > 0:
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115  # as long as the process lives


def heard() -> bool:
    """Return whether this process is to say why the command failed: of several one alone."""
    if alone():
        return True
    from modellego.distributed import speaks

    if os.environ["RANK"] != "0":  # it was told to say nothing
        sys.stderr = sys.__stderr__ or sys.stderr
    return speaks()
