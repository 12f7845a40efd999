"""Bad input: one clear sentence on stderr, exit code 2, nothing on stdout, nothing written."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from modellego.cli import main
from modellego.preprocess import Preprocess
from modellego.sources.whole import whole_brick

CASES = {
    "no classifier": (
        "disassemble nets.py:segments --data pets --classes cat -o x.brick --input-size 8",
        "not a classifier",
    ),
    "a dict of logits": ("disassemble nets.py:Named --data pets --classes cat -o x.brick", "scores"),
    "an unknown op": ("disassemble nets.py:Odd --data pets --classes cat -o x.brick", "special_bessel_j0"),
    "control flow on data": ("disassemble nets.py:Branch --data pets --classes cat -o x.brick", "nets.py:"),
    "no such callable": (
        "disassemble nets.py:goood --data pets --classes cat -o x.brick",
        "did you mean good?",
    ),
    "no such file": (
        "disassemble none.py:good --data pets --classes cat -o x.brick",
        "there is no file none.py",
    ),
    "no such zoo network": ("inspect zoo:resnt20", "did you mean resnet20"),
    "no model at all": ("inspect nothing", "names no model"),
    "weights of another model": (
        "disassemble nets.py:good --weights other.safetensors --data pets --classes cat -o x.brick",
        "do not fit",
    ),
    "broken weights": (
        "disassemble nets.py:good --weights broken.safetensors --data pets --classes cat -o x.brick",
        "no plain weights",
    ),
    "pickled weights": (
        "disassemble nets.py:good --weights pickled.pt --data pets --classes cat -o x.brick",
        "pickled",
    ),
    "missing weights": (
        "disassemble nets.py:good --weights none.pt --data pets --classes cat -o x.brick",
        "there is no weights file",
    ),
    "an unknown class": ("disassemble nets.py:good --data pets --classes cta -o x.brick", "did you mean cat?"),
    "a class out of range": ("disassemble nets.py:good --data pets --classes 0-7 -o x.brick", "out of range"),
    "too few class names": (
        "disassemble nets.py:good --data pets --classes 0 --class-names a,b -o x.brick",
        "3 logits but 2 class names",
    ),
    "a class not in the data": (
        "disassemble nets.py:good --data without_fox --class-names cat,dog,fox --classes fox -o x.brick",
        "'fox' has no images",
    ),
    "an empty class folder": (
        "disassemble nets.py:good --data empty_fox --classes fox -o x.brick",
        "'fox' has no images",
    ),
    "a corrupt test image": (
        "disassemble nets.py:good --data corrupt --classes cat,dog -o x.brick",
        "2.png cannot be decoded",
    ),
    "a corrupt train image": (
        "disassemble nets.py:good --data corrupt/test --classes cat,dog -o x.brick",
        "2.png cannot be decoded",
    ),
    "a share that is none": (
        "disassemble nets.py:Odd --data pets --classes cat --share 0 -o x.brick",
        "share of sample images is 0",
    ),
    "a reject share that is none": (
        "disassemble nets.py:Odd --data pets --classes cat --reject --reject-keep 95 -o x.brick",
        "above 0 and at most 1",
    ),
    "a statistic that is none": (
        "disassemble nets.py:Odd --data pets --classes cat --reject --reject-by luck -o x.brick",
        "max_probability, energy, max_logit, margin, not by 'luck'",
    ),
    "a statistic alone": (
        "disassemble nets.py:Odd --data pets --classes cat --reject-by margin -o x.brick",
        "say which share",
    ),
    "a criterion without a budget": (
        "disassemble nets.py:Odd --data pets --classes cat --criterion l1 -o x.brick",
        "give one of macs, parameters, latency or max_drop",
    ),
    "rounding without a budget": (
        "disassemble nets.py:Odd --data pets --classes cat --round 8 -o x.brick",
        "give one of macs, parameters, latency or max_drop",
    ),
    "rejecting without data": ("assemble ok.brick other.brick --reject -o x.brick", "give data"),
    "a table of another kind": ("predict ok.brick pets/test/dog -o said.txt", "must end in .csv or .jsonl"),
    "no image": ("predict ok.brick none.png", "there is no image none.png"),
    "no data": (
        "disassemble nets.py:good --data nowhere/at/all --classes cat -o x.brick",
        "there is no file or folder",
    ),
    "data of other classes": ("evaluate ok.brick --data digits", "no class of the data"),
    "channels that do not fit": (
        "disassemble nets.py:four --data pets --classes cat -o x.brick",
        "has 3 channels and the network wants 4",
    ),
    "a size that is too small": (
        "disassemble nets.py:four --input-size 2 --data pets --classes cat -o x.brick",
        "input size",
    ),
    "an output that exists": ("disassemble nets.py:good --data pets --classes cat -o taken.brick", "exists"),
    "an output that is not a brick": (
        "disassemble nets.py:good --data pets --classes cat -o taken.brick --force",
        "is not a brick",
    ),
    "an output nowhere": ("disassemble nets.py:good --data pets --classes cat -o no/x.brick", "does not exist"),
    "a demo into a file": ("demo --out note.txt", "note.txt is a file"),
    "a demo below a file": ("demo --out note.txt/demo", "note.txt is a file"),
    "an impossible budget": (
        "disassemble nets.py:good --data pets --classes cat --macs 2 -o x.brick",
        "out of range",
    ),
    "points that are none": ("curve nets.py:Odd --data pets --classes cat --points 0.9;0.5", "not a list of numbers"),
    "a point beyond": ("curve nets.py:Odd --data pets --classes cat --points 2", "from 0 to 1, not 2"),
    "a curve into no picture": ("curve nets.py:Odd --data pets --classes cat --plot x.txt", "must end in .png"),
    "curves over an existing file": (
        "thresholds nets.py:Odd --data pets --classes cat --plot taken.png",
        "taken.png exists",
    ),
    "a threshold that is none": ("thresholds nets.py:Odd --data pets --classes cat --vary gamma", "not gamma"),
    "a threshold beyond": ("thresholds nets.py:Odd --data pets --classes cat --values 0,1.2", "from 0 to 1, not 1.2"),
    "a rule that is none": ("thresholds nets.py:Odd --data pets --classes cat --rule slide", "poster or back_to_front"),
    "one brick to assemble": ("assemble ok.brick -o x.brick", "two bricks or more"),
    "a missing brick": ("assemble ok.brick none.brick -o x.brick", "there is no brick at none.brick"),
    "scaling without data": ("assemble ok.brick other.brick --scale logits -o x.brick", "give data"),
    "an unknown layout": ("assemble ok.brick other.brick --layout heap -o x.brick", "parallel, padded"),
    "a folder that is not a brick": ("inspect taken.brick", "holds no brick.json"),
    "options of a source for a brick": ("evaluate ok.brick --data pets --mean 1", "knows its own --mean"),
    "an unknown option": ("evaluate ok.brick --dta pets", "--dta"),
    "a missing option": ("evaluate ok.brick", "--data"),
    "an unknown command": ("disasemble x", "disassemble"),
    "a number that is none": ("demo --seed x", "--seed"),
}


@pytest.fixture(scope="module", autouse=True)
def ok_brick(place: Path) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    whole_brick(net, Preprocess(3, 8, 8), ["cat", "dog"], "ok").save(place / "ok.brick", force=True)
    other = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    whole_brick(other, Preprocess(3, 8, 8), ["fox", "owl"], "other").save(place / "other.brick", force=True)


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_sentence(case: str, fails: Callable[[str], str]) -> None:
    line, expected = CASES[case]
    assert expected in fails(line)


def test_an_unforeseen_error_is_one_sentence(
    within: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(path: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("modellego.brick.load", broken)
    with pytest.raises(SystemExit) as stop:
        main(["predict", "ok.brick", "note.txt"])
    assert stop.value.code == 2
    err = capsys.readouterr().err
    assert "ZeroDivisionError: division by zero" in err
    assert err.count("\n") == 1
