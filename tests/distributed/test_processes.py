"""Several real processes: they make what one makes, one of them writes and prints, and all stop where one ends."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from modellego.assembly import assemble
from modellego.brick import Brick, load
from modellego.cli import main
from modellego.data import Data, load_data
from modellego.disassembly import disassemble
from modellego.disassembly.sampling import Samples
from modellego.evaluation import evaluate
from modellego.locate import Budget
from tests.distributed.conftest import Torchrun

THREE = """
import sys
import torch
from modellego.brick import load
from modellego.distributed import gathered, joined, processes, rank, share, summed
from tests.distributed.test_processes import everything

with joined():
    assert processes() == 3
    assert share(10, unit=4) == [slice(0, 4), slice(4, 8), slice(8, 10)][rank()]
    total = torch.tensor([1.0, rank()], dtype=torch.float64)
    summed(total)
    assert total.tolist() == [3.0, 3.0]
    uneven = gathered([torch.full((rank(), 2), rank())] if rank() else [])
    assert uneven[:, 0].tolist() == [1, 2, 2]
    found = everything(load(sys.argv[1]))
    if rank() == 0:
        torch.save(found, sys.argv[2])
"""
DIES = """
import os, signal
from modellego.locate.criteria import criterion

@criterion("dies")
def dies(request):
    os.kill(os.getpid(), signal.SIGKILL if os.environ["RANK"] == "1" else 0)
    return [1.0] * request.channels.n_groups
"""


def everything(whole: Brick) -> dict[str, torch.Tensor]:
    """Make bricks in several ways, put two together, and return all their numbers by name."""
    digits = load_data("digits")
    assert digits.test is not None
    some = np.concatenate([digits.train.of_class(k)[:30] for k in range(10)])
    data = Data(digits.train.subset(some), digits.test.subset(np.arange(90)))
    samples = Samples(per_class=7, cache=False)
    made = {"thresholds": disassemble(whole, data, "0-2", samples=samples, refit_images=11, reject=0.9)}
    for name in ("reconstruction", "taylor"):
        budget = Budget(macs=0.6)
        made[name] = disassemble(
            whole, data, "2-6", budget=budget, criterion=name, samples=samples, refit_images=11, name=name
        )
    bricks = [made["thresholds"], made["reconstruction"]]
    joint = assemble(bricks, data=data, calibrate="head", per_class=9, names=["a", "b"], merge_equal_classes=True)
    found = {f"{name} {key}": value for name, brick in made.items() for key, value in brick.state_dict().items()}
    found |= {f"head {key}": value for key, value in joint.state_dict().items()}
    rule = made["thresholds"].info.reject
    assert rule is not None
    told = evaluate(joint, data)
    numbers = [rule.threshold, told.scores.accuracy, told.off_task.auroc if told.off_task else None]
    for brick in made.values():
        numbers += [stage[when] for stage in (brick.info.refit or {})["stages"] for when in ("before", "after")]
    return found | {"numbers": torch.tensor([n for n in numbers if n is not None], dtype=torch.float64)}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    """Assert equal shapes and numbers equal to 1e-5 of the largest."""
    assert {k: v.shape for k, v in one.items()} == {k: v.shape for k, v in other.items()}
    for key, value in one.items():
        scale = float(value.abs().max().clamp(min=1)) if value.numel() else 1.0
        torch.testing.assert_close(
            other[key] / scale, value / scale, atol=1e-5, rtol=0, msg=lambda m, k=key: f"{k}: {m}"
        )


def test_two_processes_write_one_brick_and_print_one_answer(whole: Path, torchrun: Torchrun, tmp_path: Path) -> None:
    line = ["disassemble", whole, "--data", "digits", "--classes", "1,3", "--macs", "0.5", "--refit-images", "20"]
    done = torchrun(2, "-m", "modellego", *line, "--json", "-o", "two.brick")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    two = load(tmp_path / "two.brick")
    one = disassemble(load(whole), "digits", "1,3", budget=Budget(macs=0.5), refit_images=20)
    same(one.state_dict(), two.state_dict())
    assert told["brick_accuracy"] == one.info.scores["brick_accuracy"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["two.brick"]


def test_three_processes_find_what_one_finds(whole: Path, torchrun: Torchrun, tmp_path: Path) -> None:
    (tmp_path / "three.py").write_text(THREE)
    done = torchrun(3, "three.py", whole, tmp_path / "found.pt")
    assert done.returncode == 0, done.stderr
    same(everything(load(whole)), torch.load(tmp_path / "found.pt"))


def test_all_stop_where_one_is_killed(whole: Path, torchrun: Torchrun, tmp_path: Path) -> None:
    (tmp_path / "dies.py").write_text(DIES)
    line = ["disassemble", whole, "--data", "digits", "--classes", "1,3", "--macs", "0.5", "--criterion", "dies"]
    done = torchrun(3, "-m", "modellego", *line, "--plugin", "dies.py", "--json", "-o", "new.brick")
    assert done.returncode != 0
    assert done.stdout == ""
    said = [line for line in done.stderr.splitlines() if line.startswith("error")]
    assert len(said) == 1, done.stderr
    assert "has ended" in said[0]
    assert "unforeseen" not in done.stderr
    assert [p.name for p in tmp_path.iterdir() if "brick" in p.name] == []


def test_a_command_that_is_not_shared_out_refuses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(SystemExit) as stop:
        main(["shelf", "."])
    assert stop.value.code == 2
    told = capsys.readouterr().err
    assert told == (
        "error: shelf runs in one process: start it without torchrun, which serves disassemble, assemble, evaluate\n"
    )
