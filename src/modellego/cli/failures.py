"""What a failed command says: one sentence for whatever went wrong, never a traceback."""

import os
from pathlib import Path
from typing import Any

from modellego.errors import LegoError

TRACEBACK = "MODELLEGO_TRACEBACK"  # set to anything: errors come with their traceback, for bug reports


def sentence(error: BaseException) -> str:
    """Say in one line what an error means to a user.

    >>> sentence(FileNotFoundError(2, "No such file or directory", "a.png"))
    'a.png: no such file or directory'
    >>> sentence(LegoError("there is no brick at  x"))
    'there is no brick at x'
    """
    if isinstance(error, LegoError):
        text = str(error)
    elif hasattr(error, "format_message"):  # a usage error of click, or of the click inside Typer
        text = _usage(error)
    elif isinstance(error, MemoryError) or "not enough memory" in str(error) or "out of memory" in str(error):
        text = "there is not enough memory: give fewer or smaller images, or fewer classes at a time"
    elif isinstance(error, OSError) and error.strerror:
        file = f"{error.filename}: " if error.filename is not None else ""
        text = f"{file}{error.strerror[0].lower()}{error.strerror[1:]}"
    elif type(error).__name__ == "ValidationError" and hasattr(error, "errors"):
        text = _invalid(error)
    else:
        first = next((line for line in str(error).splitlines() if line.strip()), "no message")
        text = f"{_place(error)}{type(error).__name__}: {first} (set {TRACEBACK}=1 to see where)"
    return " ".join(text.split())


def _usage(error: Any) -> str:
    """Put a usage error and where to read on into one sentence."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "modellego"
    message = str(error.format_message()).strip().rstrip(".")
    return f"{message[:1].lower()}{message[1:]}; see {command} --help"


def _invalid(error: Any) -> str:
    """Name the first value that a pydantic model refused."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"]) or "value"
    return f"{place} {first['msg'][:1].lower()}{first['msg'][1:]}"


def _place(error: BaseException) -> str:
    """Name the file and line of modellego that an unforeseen error comes from."""
    found, trace = "", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if f"{os.sep}modellego{os.sep}" in file:
            found = f"unforeseen error at {Path(file).name}:{trace.tb_lineno}: "
        trace = trace.tb_next
    return found
