"""A brick for each class is the one that is cut for that class alone, and a folder of them appears whole."""

from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from modellego.brick import Brick, load
from modellego.brick.format.collection import brick_names, check_folder
from modellego.data import Data
from modellego.disassembly.each import disassemble_each
from modellego.disassembly.folder import bricks_into, checkpoint_of
from modellego.disassembly.sampling import Samples
from modellego.disassembly.verb import disassemble
from modellego.errors import DataError, FormatError
from modellego.locate import Budget

OPTIONS: dict[str, dict[str, Any]] = {
    "thresholds": {"samples": Samples(4, candidates=8)},
    "contribution": {"budget": Budget(macs=0.5), "criterion": "contribution", "samples": Samples(4)},
    "reconstruction": {"budget": Budget(macs=0.5)},
    "reject": {"reject": 0.9},
}


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("how", OPTIONS)
def test_each_brick_is_the_one_cut_alone_byte_for_byte(net: Brick, digits: Data, how: str, tmp_path: Path) -> None:
    for brick in disassemble_each(net, digits, "3,0,7", refit_images=8, **OPTIONS[how]):
        alone = disassemble(net, digits, list(brick.classes), refit_images=8, **OPTIONS[how])
        assert files(brick.save(tmp_path / "each")) == files(alone.save(tmp_path / "alone"))
        for folder in (tmp_path / "each", tmp_path / "alone"):
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()


def test_a_class_made_of_several_is_one_brick(net: Brick, digits: Data) -> None:
    found = list(disassemble_each(net, digits, "odd=1,odd=3,4", refit_images=5))
    alone = disassemble(net, digits, "odd=1,odd=3", refit_images=5)
    assert [brick.classes for brick in found] == [("odd",), ("4",)]
    assert all(torch.equal(a, b) for a, b in zip(found[0].parameters(), alone.parameters(), strict=True))


def test_without_classes_there_is_a_brick_for_each(net: Brick, digits: Data) -> None:
    assert [brick.classes for brick in disassemble_each(net, digits, refit_images=0)] == [(str(k),) for k in range(10)]


def test_nothing_is_done_before_it_is_asked_for(net: Brick, digits: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    from modellego.disassembly import each

    begun: list[int] = []
    real = each.make_brick
    monkeypatch.setattr(each, "make_brick", lambda job, *a, **k: (begun.append(job.task[0]), real(job, *a, **k))[1])
    list(islice(disassemble_each(net, digits, "0-5", refit_images=0), 2))
    assert begun == [0, 1]


def test_a_folder_holds_a_brick_for_each_class(net: Brick, digits: Data, tmp_path: Path) -> None:
    list(bricks_into(tmp_path / "all", net, digits, "0,5", refit_images=0))
    assert [p.name for p in sorted((tmp_path / "all").iterdir())] == ["0.brick", "5.brick"]
    assert load(tmp_path / "all" / "5.brick").classes == ("5",)
    assert [p.name for p in tmp_path.iterdir()] == ["all"]


def test_an_interrupted_run_goes_on_with_the_same_bytes(net: Brick, digits: Data, tmp_path: Path) -> None:
    list(bricks_into(tmp_path / "whole", net, digits, "0-2", refit_images=5))
    list(islice(bricks_into(tmp_path / "cut", net, digits, "0-2", refit_images=5), 2))
    assert not (tmp_path / "cut").exists()
    kept = checkpoint_of(tmp_path / "cut") / "0.brick" / "model.safetensors"
    before = kept.stat().st_ino
    list(bricks_into(tmp_path / "cut", net, digits, "0-2", refit_images=5, resume=True))
    assert files(tmp_path / "cut") == files(tmp_path / "whole")
    assert (tmp_path / "cut" / "0.brick" / "model.safetensors").stat().st_ino == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cut", "whole"]


@pytest.mark.parametrize(
    ("unlike", "named"), [({"seed": 1}, "options"), ({"classes": "0-1"}, "options"), ({"fewer": True}, "data")]
)
def test_the_checkpoint_of_another_run_is_refused(
    net: Brick, digits: Data, tmp_path: Path, unlike: dict[str, Any], named: str
) -> None:
    list(islice(bricks_into(tmp_path / "cut", net, digits, "0-2", refit_images=0), 1))
    given = Data(digits.train.subset(slice(0, 100)), digits.test) if unlike.pop("fewer", False) else digits
    asked = {"classes": "0-2", "refit_images": 0} | unlike
    with pytest.raises(FormatError, match=f"another run \\(its {named} differ\\)"):
        list(bricks_into(tmp_path / "cut", net, given, **asked, resume=True))
    assert (checkpoint_of(tmp_path / "cut") / "0.brick").is_dir()


def test_a_checkpoint_is_not_overwritten_unless_forced(net: Brick, digits: Data, tmp_path: Path) -> None:
    list(islice(bricks_into(tmp_path / "cut", net, digits, "0-2", refit_images=0), 1))
    with pytest.raises(FormatError, match="checkpoint of an interrupted run"):
        list(bricks_into(tmp_path / "cut", net, digits, "0-2", refit_images=0))
    list(bricks_into(tmp_path / "cut", net, digits, "0-2", refit_images=0, force=True))
    assert len(list((tmp_path / "cut").iterdir())) == 3


def test_there_is_nothing_to_resume(net: Brick, digits: Data, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="there is no checkpoint"):
        list(bricks_into(tmp_path / "cut", net, digits, "0-2", resume=True))


def test_a_failed_run_leaves_nothing(net: Brick, digits: Data, tmp_path: Path) -> None:
    few = Data(digits.train.subset(digits.train.labels != 2))
    with pytest.raises(DataError, match="'2' has no images"):
        list(bricks_into(tmp_path / "cut", net, few, "0-2", refit_images=0))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_bricks_is_replaced_by_force_alone(net: Brick, digits: Data, tmp_path: Path) -> None:
    list(bricks_into(tmp_path / "all", net, digits, "0-1", refit_images=0))
    with pytest.raises(FormatError, match="exists: choose another name"):
        check_folder(tmp_path / "all")
    list(bricks_into(tmp_path / "all", net, digits, "2", refit_images=0, force=True))
    assert [p.name for p in (tmp_path / "all").iterdir()] == ["2.brick"]
    assert [p.name for p in tmp_path.iterdir()] == ["all"]


def test_a_folder_with_other_things_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "thesis.tex").write_text("years of work")
    with pytest.raises(FormatError, match=r"holds 'thesis.tex' beside bricks"):
        check_folder(tmp_path / "all", force=True)


def test_names_that_are_no_file_names_are_made_ones() -> None:
    assert brick_names(["../../etc", "a\x00b", "é è", "É È", ""]) == [
        "etc.brick",
        "a-b.brick",
        "é-è.brick",
        "É-È-2.brick",
        "class.brick",
    ]
