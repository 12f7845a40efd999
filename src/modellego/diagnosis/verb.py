"""The verb `doctor`: looks at every package and device, in a process of its own."""

import json
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import zip_longest
from typing import Any

from modellego import __version__
from modellego.diagnosis.packages import CORE, EXTRAS, Wanted
from modellego.drawing.cells import html_table
from modellego.progress import Progress, silent

SECONDS = 300  # that all imports together may take


@dataclass(frozen=True)
class Package:
    """A package: the extra it belongs to (None: modellego needs it), its version (None: not there), what is wrong."""

    name: str
    extra: str | None
    version: str | None
    problem: str | None = None


@dataclass(frozen=True)
class Device:
    """A device of torch, what it is called, and what is wrong with it."""

    name: str
    called: str
    problem: str | None = None


@dataclass(frozen=True)
class Diagnosis:
    """What was found; `problems` are sentences, none where all that is installed works."""

    modellego: str
    python: str
    system: str
    packages: tuple[Package, ...]
    devices: tuple[Device, ...]
    problems: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @property
    def extras(self) -> dict[str, str]:
        """Each extra and how it is: `installed`, `not installed`, `incomplete` or `broken`."""
        states = {}
        for extra in EXTRAS:
            mine = [p for p in self.packages if p.extra == extra]
            there = [p for p in mine if p.version is not None]
            broken = any(p.problem for p in there)
            whole = "installed" if len(there) == len(mine) else "incomplete" if there else "not installed"
            states[extra] = "broken" if broken else whole
        return states

    def _repr_html_(self) -> str:
        rows = [[p.name, p.version or "–", p.extra or "", p.problem or ""] for p in self.packages]
        rows += [[d.name, d.called, "", d.problem or ""] for d in self.devices]
        below = " ".join(self.problems) or "Nothing is broken."
        return html_table(f"modellego {self.modellego}", rows, ["", "version", "extra", "problem"], below)


def doctor(progress: Progress = silent) -> Diagnosis:
    """Look at versions, devices and extras, and say what is broken.

    Every package is imported in another process, which takes some seconds and leaves this one as it was.
    """
    wanted = [*((None, w) for w in CORE), *((extra, w) for extra, ours in EXTRAS.items() for w in ours)]
    versions = {w.module: _version(w.distribution) for _, w in wanted}
    there = [w.module for _, w in wanted if versions[w.module] is not None]
    broken, devices, checks = _probe(there, progress)
    packages = tuple(_package(extra, w, versions[w.module], broken.get(w.module)) for extra, w in wanted)
    problems = [f"{p.name}: {p.problem}" for p in packages if p.problem]
    problems += [f"{d.name}: {d.problem}" for d in devices if d.problem]
    problems += [f"{name}: {problem}" for name, problem in checks.items()]
    return Diagnosis(
        __version__, platform.python_version(), platform.platform(), packages, tuple(devices), tuple(problems)
    )


def _package(extra: str | None, wanted: Wanted, found: str | None, broken: str | None) -> Package:
    problem = None
    if found is None and extra is None:
        problem = f"not installed, and modellego needs it: run  pip install '{wanted.distribution}>={wanted.least}'"
    elif broken is not None:
        problem = f"installed, but cannot be imported ({broken}): install one that fits this torch and Python"
    elif found is not None and older(found, wanted.least):
        problem = f"version {found} is too old: run  pip install '{wanted.distribution}>={wanted.least}'"
    return Package(wanted.distribution, extra, found, problem)


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def older(found: str, least: str) -> bool:
    """Tell whether a version is below another, by their numbers.

    >>> older("2.9.1+cpu", "2.11"), older("2.11", "2.11.0"), older("3.0rc1", "2.11")
    (True, False, False)
    """
    both = [[int(n) for n in re.findall(r"\d+", re.split(r"[+a-z]", text, maxsplit=1)[0])] for text in (found, least)]
    pairs = list(zip_longest(*both, fillvalue=0))
    return [a for a, _ in pairs] < [b for _, b in pairs]


def _probe(modules: Sequence[str], progress: Progress) -> tuple[dict[str, str], list[Device], dict[str, str]]:
    """Import modules elsewhere: those that fail and why, the devices, and the checks that fail and why."""
    broken: dict[str, str] = {}
    devices: list[Device] = []
    checks: dict[str, str] = {}
    left = list(modules)
    with progress("imports", "packages") as update:
        while True:
            begun = None
            for line in _lines([*left, "devices"]):
                if "begin" in line:
                    begun = line["begin"]
                    continue
                if "module" in line:
                    begun = None
                    left.remove(line["module"])
                    update(len(modules) - len(left), len(modules))
                    if line["problem"]:
                        broken[line["module"]] = line["problem"]
                elif "device" in line:
                    devices.append(Device(line["device"], line["called"], line["problem"]))
                elif line["problem"]:
                    checks[line["check"]] = line["problem"]
            if begun is None:
                return broken, devices, checks
            broken[begun] = "importing it ends the process"
            left.remove(begun)


def _lines(modules: Sequence[str]) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "modellego.diagnosis.probe", *modules]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=SECONDS, check=False)
        raw = done.stdout
    except subprocess.TimeoutExpired as late:
        raw = late.stdout or b""
    found = []
    for line in raw.decode(errors="replace").splitlines():
        if line.startswith("{"):  # packages may print on import
            found.append(json.loads(line))
    return found
