"""Imports a library of models: one that is not there is an extra to install, one that is broken is told apart."""

import importlib
from typing import Any

from modellego.errors import MissingExtraError, SourceError


def imported(name: str, extra: str | None = None) -> Any:
    """Import a library, whose extra bears its name where none is given.

    Raises:
        MissingExtraError: it is not installed.
        SourceError: it is installed, and what its own code raises when it is imported.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name.partition(".")[0]:
            raise MissingExtraError(error.name, extra or name) from error
        raise SourceError(broken(name, error)) from error
    except Exception as error:  # built for another torch, a missing shared library, half imported before
        raise SourceError(broken(name, error)) from error


def broken(name: str, error: BaseException) -> str:
    """Say what keeps an installed library from working, by the first of the errors that led to this one."""
    while error.__cause__ is not None:
        error = error.__cause__
    reason = str(error).splitlines()[0][:200] if str(error) else "no message"
    culprit = "torchvision" if "torchvision" in reason else name
    return (
        f"{name} is installed but cannot be imported ({type(error).__name__}: {reason}): "
        f"install the {culprit} that was built for this torch"
    )
