"""Imports a library of models: one that is not there is an extra to install, one that is broken is told apart."""

import importlib
from typing import Any

from modellego.errors import MissingExtraError, SourceError


def imported(name: str) -> Any:
    """Import torchvision or timm, whose extras bear their names.

    Raises:
        MissingExtraError: it is not installed.
        SourceError: it is installed, and what its own code raises when it is imported.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name:
            raise MissingExtraError(name, name) from error
        raise SourceError(_broken(name, error)) from error
    except Exception as error:  # built for another torch, a missing shared library, half imported before
        raise SourceError(_broken(name, error)) from error


def _broken(name: str, error: Exception) -> str:
    reason = str(error).splitlines()[0][:200] if str(error) else "no message"
    culprit = "torchvision" if "torchvision" in reason else name
    return (
        f"{name} is installed but cannot be imported ({type(error).__name__}: {reason}): "
        f"install the {culprit} that was built for this torch"
    )
