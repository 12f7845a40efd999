"""The command line: puts the subcommands together, and turns errors into one line and exit code 2."""

import sys

import typer
from rich.console import Console
from rich.markup import escape

from modellego.cli.assemble import assemble
from modellego.cli.curve import curve
from modellego.cli.demo import demo
from modellego.cli.disassemble import disassemble
from modellego.cli.distill import distill
from modellego.cli.evaluate import evaluate
from modellego.cli.finetune import finetune
from modellego.cli.inspect import inspect
from modellego.cli.predict import predict
from modellego.cli.report import report
from modellego.cli.routes import heatmap, routes
from modellego.errors import LegoError

app = typer.Typer(
    name="modellego",
    help="Take trained classifiers apart and put the pieces together again, without training.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for _command in (
    demo,
    disassemble,
    assemble,
    evaluate,
    predict,
    inspect,
    report,
    routes,
    heatmap,
    curve,
    finetune,
    distill,
):
    app.command()(_command)


def main() -> None:
    """Run the command line; a `LegoError` becomes one line on stderr and exit code 2."""
    try:
        app()
    except LegoError as error:
        Console(stderr=True, soft_wrap=True).print(f"[bold red]error[/]: {escape(' '.join(str(error).split()))}")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
