"""The record of a recipe's runs, `results.json` in its folder: what each step made, of which fingerprint."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from modellego.errors import RecipeError
from modellego.recipes.fingerprints import of_files
from modellego.recipes.steps import Step

FILE = "results.json"


@dataclass(frozen=True)
class Entry:
    """One step that was finished: its fingerprint, seconds, the digests of what it wrote, and what it found."""

    fingerprint: str
    seconds: float
    digests: list[str]
    result: dict[str, Any] = field(default_factory=dict)


class Record:
    """The finished steps of a folder by title; written anew after each step."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / FILE
        self.entries: dict[str, Entry] = {}
        if self.file.is_file():
            try:
                raw = json.loads(self.file.read_text(encoding="utf-8"))
                self.entries = {title: Entry(**entry) for title, entry in raw["steps"].items()}
            except (ValueError, KeyError, TypeError, AttributeError):
                raise RecipeError(
                    f"{self.file} is no record of a recipe: move it away, or take another folder"
                ) from None

    def finished(self, step: Step) -> Entry | None:
        """Return what a step found, where it was finished with this fingerprint and its files are as it left them."""
        entry = self.entries.get(step.title)
        if entry is None or entry.fingerprint != step.fingerprint:
            return None
        return entry if digests(step) == entry.digests else None

    def add(self, step: Step, seconds: float, result: dict[str, Any]) -> Entry:
        """Note that a step is finished."""
        entry = Entry(step.fingerprint, seconds, digests(step), result)
        self.entries[step.title] = entry
        part = self.file.with_suffix(".part")
        told = {"steps": {title: asdict(entry) for title, entry in self.entries.items()}}
        part.write_text(json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
        part.replace(self.file)
        return entry


def digests(step: Step) -> list[str]:
    """Return the digests of the files that a step writes, fewer where some are not there."""
    files = [file for target in step.files for file in _inside(target) if file.is_file()]
    return of_files(files)


def _inside(target: Path) -> list[Path]:
    """A brick's card is words: a hub may have written it anew."""
    return [target / "brick.json", target / "model.safetensors"] if target.is_dir() else [target]
