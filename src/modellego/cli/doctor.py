"""`modellego doctor`: versions, devices, extras, and what is broken."""

import typer

from modellego.cli import options as o
from modellego.cli.console import out, print_json, print_table, progress


def doctor(*, answer: o.Answer) -> None:
    """Show versions, devices and extras, and what is broken; exit code 1 where something is.

    Example: modellego doctor
    """
    from modellego.diagnosis import doctor as look

    found = look(progress)
    if answer.json:
        print_json({**found.as_json(), "extras": found.extras})
    else:
        rows = [[p.name, p.version or "–", p.extra or "(needed)", _state(p.version, p.problem)] for p in found.packages]
        print_table(f"modellego {found.modellego}, Python {found.python}, {found.system}", _HEADER, rows)
        print_table("devices", ["device", "", "state"], [[d.name, d.called, d.problem or "ok"] for d in found.devices])
        for extra, state in found.extras.items():
            if state in ("not installed", "incomplete"):
                out().print(f"extra {extra}: {state}; run  pip install 'modellego[{extra}]'  if you want it")
        for problem in found.problems:
            out().print(f"broken: {problem}")
        out().print("" if found.problems else "Nothing is broken.")
    if found.problems:
        raise typer.Exit(1)


_HEADER = ["package", "version", "extra", "state"]


def _state(version: str | None, problem: str | None) -> str:
    return ("–" if version is None else "ok") if problem is None else "broken"
