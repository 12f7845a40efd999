"""The command `modellego`: one subcommand per file, errors in one line, exit code 2."""

from modellego.cli.app import main

__all__ = ["main"]
