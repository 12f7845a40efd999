"""`python -m experiments NAME [--data DIR]` runs one; `--list`, `--stale`, `--write`, `--check` look at all."""

import argparse
import os
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from experiments.frame import results_page
from experiments.frame.commits import ROOT, counts, states
from experiments.frame.page import finish, starting
from experiments.frame.record import RESULTS, read
from experiments.frame.registry import Experiment, find, known
from experiments.frame.run import SOURCES, Run
from modellego.cli.console import progress
from modellego.errors import LegoError


def main(arguments: list[str] | None = None) -> int:
    """Run one experiment or look at all of them; every error becomes one line on stderr and exit code 2."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        if given and not given[0].startswith("-"):
            return run_one(given[0].replace("-", "_"), given[1:])
        return look(given)
    except LegoError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def run_one(name: str, given: list[str]) -> int:
    """Run one experiment: what was done is taken up, and the rest is worked out."""
    experiment = find(name)
    parser = argparse.ArgumentParser(f"python -m experiments {name.replace('_', '-')}", description=experiment.title)
    place = os.environ.get("MODELLEGO_SHARED", ROOT.parent / "shared")
    parser.add_argument("--data", type=Path, default=Path(place), help="folder with data sets and models (%(default)s)")
    parser.add_argument("--out", type=Path, help="folder for all that is written (experiments/results)")
    parser.add_argument("--sources", type=Path, default=SOURCES, help="folder of train-source (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of everything random")
    parser.add_argument("--limit", type=int, help="images per split, to try it out")
    parser.add_argument("--force", action="store_true", help="start over, in place of what is there")
    if experiment.options is not None:
        experiment.options(parser)
    asked = vars(parser.parse_args(given))
    run = asked_run(name, experiment, asked, " ".join(["python -m experiments", name.replace("_", "-"), *given]))
    starting(run, asked["force"])
    experiment.run(run)
    done = finish(experiment, run)
    print(done.page)
    print(f"wrote {', '.join(map(str, done.files))}")
    return 0


def asked_run(name: str, experiment: Experiment, asked: dict[str, Any], command: str) -> Run:
    """Return the run that was asked for; rows of other networks go to a folder of their own."""
    network = asked.get("network")
    default = experiment.out or (RESULTS / network if network and experiment.out is None else RESULTS)
    out = (asked["out"] or default).expanduser()
    standing = {f.name for f in fields(Run)} - {"data", "out"}
    fitting = {key: value for key, value in asked.items() if key in standing}
    own = {k: v for k, v in asked.items() if k not in {*standing, "data", "out", "sources", "force"}}
    run = Run(name, asked["data"], out, asked["sources"].expanduser(), **fitting, own=own, command=command)
    run = replace(run, progress=progress)
    return run if experiment.settings is None else replace(run, chosen=experiment.settings(run))


def look(given: list[str]) -> int:
    """List the experiments, or look at their rows and pages."""
    parser = argparse.ArgumentParser("python -m experiments", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--list", action="store_true", help="name the experiments")
    what.add_argument("--stale", action="store_true", help="say which rows are older than the code that they measure")
    what.add_argument("--write", action="store_true", help="write docs/results.md and docs/coverage.md")
    what.add_argument("--check", action="store_true", help="exit with 1 if they are not current")
    asked = parser.parse_args(given or ["--help"])
    if asked.list:
        for name, experiment in known().items():
            print(f"{name.replace('_', '-'):<20}{experiment.title}")
    elif asked.stale:
        return stale(RESULTS)
    elif asked.write:
        print(f"wrote {', '.join(map(str, results_page.write()))}")
    elif behind := results_page.not_current():
        print(f"{', '.join(map(str, behind))} not current: run python -m experiments --write", file=sys.stderr)
        return 1
    return 0


def stale(results: Path) -> int:
    """Say of each record how many rows are current, older or unknown, and name the older ones; 1 if there are any."""
    any_older = False
    for name, experiment in known().items():
        measured = [f"src/modellego/{room}" for room in experiment.measures] + [f"experiments/{name}.py"]
        for file in sorted((*results.glob(f"{name}.json"), *results.glob(f"*/{name}.json"))):
            found = states(read(file)["rows"], measured)
            print(f"{file.relative_to(results)}: {counts(found)}")
            for key in found["older"]:
                print(f"  older: {key}")
            any_older = any_older or bool(found["older"])
    return int(any_older)


if __name__ == "__main__":
    sys.exit(main())
