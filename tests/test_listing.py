"""The shelf: all bricks of a folder, filtered by class, broken ones named."""

import json
from pathlib import Path

import pytest
from torch import nn

import modellego as ml
from modellego.cli import main
from modellego.sources.whole import whole_brick


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    def brick(*classes: str) -> ml.Brick:
        net = nn.Sequential(nn.Flatten(), nn.Linear(64, len(classes)))
        return whole_brick(net, ml.Preprocess(1, 8, 8), classes, "zoo")

    pets = brick("Cat", "dog")
    pets.info = pets.info.changed(scores={"accuracy": 0.75})
    pets.save(tmp_path / "pets.brick")
    (tmp_path / "more" / "deep").mkdir(parents=True)
    brick("fox", "cat").save(tmp_path / "more/deep/wild.brick")
    (tmp_path / "broken.brick").mkdir()
    (tmp_path / "broken.brick/brick.json").write_text("{}")
    return tmp_path


def test_all_bricks_are_listed_by_path(folder: Path) -> None:
    found = ml.shelf(folder)
    assert [Path(b.path).name for b in found] == ["broken.brick", "wild.brick", "pets.brick"]
    pets = found[2]
    assert (pets.classes, pets.sources, pets.macs, pets.scores) == (("Cat", "dog"), ("zoo",), 128, {"accuracy": 0.75})
    assert pets.bytes == sum(f.stat().st_size for f in (folder / "pets.brick").iterdir())
    assert found[0].problem is not None
    assert "75.0 %" in found._repr_html_()


def test_a_class_filters_them(folder: Path) -> None:
    assert [Path(b.path).name for b in ml.shelf(folder, classes="cat")] == ["wild.brick", "pets.brick"]
    assert [Path(b.path).name for b in ml.shelf(folder, classes=["cat", "fox"])] == ["wild.brick"]


def test_the_command_prints_one_object(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["shelf", str(folder), "--class", "dog", "--json"])
    (brick,) = json.loads(capsys.readouterr().out)["bricks"]
    assert brick["classes"] == ["Cat", "dog"]
