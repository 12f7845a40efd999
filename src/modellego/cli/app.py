"""The command line: puts the subcommands together, and turns errors into one line and exit code 2."""

import logging
import os
import sys
import warnings
from typing import Annotated

import typer

from modellego import __version__
from modellego.cli.ablation import ablation
from modellego.cli.assemble import assemble
from modellego.cli.console import PlainConsole
from modellego.cli.curve import curve
from modellego.cli.demo import demo
from modellego.cli.disassemble import disassemble
from modellego.cli.distill import distill
from modellego.cli.doctor import doctor
from modellego.cli.evaluate import evaluate
from modellego.cli.export import export
from modellego.cli.failures import TRACEBACK, sentence
from modellego.cli.finetune import finetune
from modellego.cli.groups import with_groups
from modellego.cli.help import Command, Group
from modellego.cli.inspect import inspect
from modellego.cli.parts import add, replace, take
from modellego.cli.predict import predict
from modellego.cli.recipes import recipe, run
from modellego.cli.report import report
from modellego.cli.routes import heatmap, routes
from modellego.cli.several import heard, join
from modellego.cli.shelf import shelf
from modellego.cli.thresholds import thresholds

app = typer.Typer(
    cls=Group,
    name="modellego",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
_PANELS = {
    "Begin": (demo, doctor),
    "Take apart": (inspect, disassemble, curve, thresholds),
    "Put together": (assemble, take, add, replace, ablation),
    "Score and look": (evaluate, predict, report, routes, heatmap),
    "Train afterwards": (finetune, distill),
    "Keep and pass on": (run, recipe, shelf, export),
}
for _panel, _commands in _PANELS.items():
    for _command in _commands:
        app.command(cls=Command, rich_help_panel=_panel)(with_groups(_command))


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"modellego {__version__}")
        raise typer.Exit


@app.callback()
def _before(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and stop.")
    ] = False,
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose", "-v", count=True, show_default=False, help="Log what is done on stderr; -vv: in detail."
        ),
    ] = 0,
) -> None:
    """Take trained classifiers apart and put the pieces together again, without training."""
    if verbose:
        logging.disable(logging.NOTSET)
        logging.basicConfig(format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr, force=True)
        logging.getLogger("modellego").setLevel(logging.DEBUG if verbose > 1 else logging.INFO)
    join(context)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; every error becomes one line on stderr and exit code 2."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # of libraries; ours are sentences of their own
        logging.disable(logging.ERROR)
    try:
        code = app(arguments, prog_name="modellego", standalone_mode=False)
    except (KeyboardInterrupt, EOFError):
        sys.exit(130)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except SystemExit as leaving:  # Rich leaves with 1 where the reader of its help has gone; nothing of ours does
        sys.exit(0 if leaving.code == 1 else leaving.code)
    except Exception as error:
        if type(error).__name__ == "Abort":
            sys.exit(130)
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()  # type: ignore[attr-defined]
            sys.exit(2)
        if os.environ.get(TRACEBACK):
            raise
        if not heard():
            sys.exit(2)
        console = PlainConsole(stderr=True, soft_wrap=True)
        console.print("error", style="bold red", end="", highlight=False)
        console.print(f": {sentence(error)}", highlight=False)
        sys.exit(2)
    sys.exit(code if isinstance(code, int) else 0)
