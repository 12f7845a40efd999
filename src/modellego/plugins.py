"""Plugins: Python files and installed packages that register what modellego does not have (docs/extending.md)."""

import importlib.util
import sys
from functools import cache
from hashlib import sha256
from importlib.metadata import entry_points
from pathlib import Path

from modellego.errors import LegoError

GROUP = "modellego.plugins"  # the entry points that installed packages name their modules by


def load_plugin(path: str | Path) -> None:
    """Run a Python file that registers criteria, refits, calibrations, layouts or readers; once, however often named.

    The file runs as any program does: load only what you would run.

    Raises:
        LegoError: there is no such file, or it fails; the text says where.

    >>> load_plugin("nowhere.py")
    Traceback (most recent call last):
    modellego.errors.LegoError: there is no plugin nowhere.py: name a Python file
    """
    file = Path(path).expanduser()
    if not file.is_file() or file.suffix != ".py":
        raise LegoError(f"there is no plugin {path}: name a Python file")
    name = f"modellego_plugin_{file.stem}_{sha256(str(file.resolve()).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except LegoError:
        del sys.modules[name]
        raise
    except Exception as error:
        del sys.modules[name]
        raise LegoError(f"the plugin {file} fails{_where(error, file)}: {type(error).__name__}: {error}") from error


@cache
def load_installed() -> None:
    """Import the modules that installed packages name under the entry points `modellego.plugins`, once.

    Raises:
        LegoError: one of them fails.
    """
    for point in entry_points(group=GROUP):
        try:
            point.load()
        except LegoError:
            raise
        except Exception as error:
            owner = point.dist.name if point.dist is not None else "an installed package"
            raise LegoError(
                f"the plugin {point.name} of {owner} fails: {type(error).__name__}: {error}: fix or uninstall it"
            ) from error


def _where(error: Exception, file: Path) -> str:
    """Return the last line of the file that an error comes from."""
    line = error.lineno if isinstance(error, SyntaxError) else None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" in line {line}" if line else ""
