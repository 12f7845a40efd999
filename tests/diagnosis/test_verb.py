"""The doctor: its table is that of pyproject.toml, and what is broken is told from what is not there."""

import json
import tomllib
from pathlib import Path

import pytest

from modellego.cli import main
from modellego.diagnosis import verb
from modellego.diagnosis.packages import CORE, EXTRAS, Wanted
from modellego.diagnosis.verb import doctor

PROJECT = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())["project"]


def test_the_table_is_that_of_the_project() -> None:
    assert [f"{w.distribution}>={w.least}" for w in CORE] == PROJECT["dependencies"]
    theirs = {k: v for k, v in PROJECT["optional-dependencies"].items() if k not in ("test", "dev", "docs")}
    assert {k: [f"{w.distribution}>={w.least}" for w in ours] for k, ours in EXTRAS.items()} == theirs


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages that work, raise, kill the process, are too old, and one that is not there."""
    code = {"fine": "", "raises": "raise OSError('no lib\\nmore')", "kills": "import os; os._exit(3)", "aged": ""}
    for name, text in code.items():
        (tmp_path / f"{name}.py").write_text(text)
        (tmp_path / f"{name}-1.0.dist-info").mkdir()
        (tmp_path / f"{name}-1.0.dist-info/METADATA").write_text(f"Name: {name}\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(verb.__file__).parents[2]}")
    monkeypatch.setattr(verb, "CORE", (Wanted("fine", "fine", "1"), Wanted("absent", "absent", "1")))
    extras = {name: (Wanted(name, name, "2" if name == "aged" else "1"),) for name in ("kills", "raises", "aged")}
    monkeypatch.setattr(verb, "EXTRAS", extras | {"none": (Wanted("nothing", "nothing", "1"),)})


@pytest.mark.usefixtures("packages")
def test_what_is_broken_is_named_and_the_rest_still_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["doctor", "--json"])
    assert left.value.code == 1
    found = json.loads(capsys.readouterr().out)
    problems = {p["name"]: p["problem"] for p in found["packages"]}
    assert problems["fine"] is None
    assert "not installed" in problems["absent"]
    assert "OSError: no lib)" in problems["raises"]
    assert "ends the process" in problems["kills"]
    assert "too old" in problems["aged"]
    assert problems["nothing"] is None
    assert found["extras"] == {"kills": "broken", "raises": "broken", "aged": "broken", "none": "not installed"}
    assert len(found["problems"]) == 4
    assert found["devices"][0]["name"] == "cpu"


def test_a_sound_installation_has_no_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verb, "CORE", CORE[:2])
    monkeypatch.setattr(verb, "EXTRAS", {})
    found = doctor()
    assert found.problems == ()
    assert {p.name: p.version is not None for p in found.packages} == {"torch": True, "numpy": True}
    assert "Nothing is broken." in found._repr_html_()
