"""Exported files compute what the brick computes, say what they are, and are whole or not there."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from modellego.brick import Assembled, Brick, Joint, Reject, assembled_info
from modellego.data import ImageSet
from modellego.errors import ExportError
from modellego.evaluation import evaluate
from modellego.exporting import export
from modellego.exporting import verb as verb_module
from modellego.preprocess import Preprocess
from modellego.sources.whole import whole_brick


def make_brick(size: int = 12, resize: str = "crop", classes: tuple[str, ...] = ("cat", "dog", "fox")) -> Brick:
    torch.manual_seed(size)
    layers = [nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    net = nn.Sequential(*layers, nn.Linear(6, len(classes)))
    return whole_brick(net, Preprocess(3, size, size, (0.4,), (0.2,), resize), classes, f"net{size}")


def with_rule(brick: Brick) -> Brick:
    threshold = float(brick(torch.rand(40, 3, 12, 12)).logsumexp(1).median())
    brick.info = brick.info.changed(reject=Reject(threshold=threshold, statistic="energy"))
    return brick


def beside() -> Assembled:
    bricks = [make_brick(12), make_brick(16, "squash", ("owl", "rat"))]
    return Assembled(bricks, Joint(), assembled_info(bricks, [c for b in bricks for c in b.classes]))


def images(size: tuple[int, int] = (20, 14), classes: tuple[str, ...] = ("cat", "dog", "fox")) -> ImageSet:
    pixels = np.random.default_rng(0).random((30, 3, *size), np.float32)
    return ImageSet.from_tensor(pixels, [i % 3 for i in range(30)], classes)


def session(path: Path) -> Any:
    return pytest.importorskip("onnxruntime").InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.fixture(autouse=True)
def onnx_is_there(request: pytest.FixtureRequest) -> None:
    if "pt2" not in request.node.name:
        for package in ("onnx", "onnxscript", "onnxruntime"):
            pytest.importorskip(package)


@pytest.mark.parametrize("resize", ["crop", "squash"])
def test_onnx_resizes_and_normalises_as_the_brick_does(resize: str, tmp_path: Path) -> None:
    brick = make_brick(resize=resize)
    export(brick, tmp_path / "a.onnx", image_size=(31, 20))
    shown = torch.rand(5, 3, 31, 20)
    (found,) = session(tmp_path / "a.onnx").run(None, {"images": shown.numpy()})
    assert np.abs(found - brick(shown).detach().numpy()).max() < 1e-4


def test_none_of_these_is_the_second_output(tmp_path: Path) -> None:
    brick = with_rule(make_brick())
    export(brick, tmp_path / "a.onnx")
    shown = torch.rand(40, 3, 12, 12)
    logits, turned_away = session(tmp_path / "a.onnx").run(["logits", "none_of_these"], {"images": shown.numpy()})
    assert 0 < turned_away.sum() < 40
    assert turned_away.tolist() == brick.predict_reject(torch.from_numpy(logits)).tolist()


def test_the_metadata_name_classes_and_rule(tmp_path: Path) -> None:
    export(with_rule(make_brick()), tmp_path / "a.onnx")
    told = session(tmp_path / "a.onnx").get_modelmeta().custom_metadata_map
    assert json.loads(told["classes"]) == ["cat", "dog", "fox"]
    assert json.loads(told["reject"])["statistic"] == "energy"


def test_an_assembled_model_keeps_each_bricks_own_preprocessing(tmp_path: Path) -> None:
    model = beside()
    export(model, tmp_path / "a.onnx", image_size=(24, 18))
    shown = torch.rand(3, 3, 24, 18)
    (found,) = session(tmp_path / "a.onnx").run(None, {"images": shown.numpy()})
    assert np.abs(found - model(shown).detach().numpy()).max() < 1e-4


def test_bricks_of_different_sizes_take_images_as_the_data_have_them(tmp_path: Path) -> None:
    model = beside()
    data = ImageSet.from_tensor(images().images(), images().labels, model.classes)
    done = export(model, tmp_path / "a.onnx", data=data)
    assert done.input_shape == (3, 20, 14)
    assert done.file.accuracy == evaluate(model, data).scores.accuracy


def test_prepared_input_leaves_the_preprocessing_outside(tmp_path: Path) -> None:
    brick = make_brick()
    export(brick, tmp_path / "a.onnx", prepared=True)
    shown = torch.randn(4, 3, 12, 12)
    (found,) = session(tmp_path / "a.onnx").run(None, {"images": shown.numpy()})
    assert np.abs(found - brick.network(shown).detach().numpy()).max() < 1e-4


def test_accuracies_stand_beside_one_another(tmp_path: Path) -> None:
    done = export(make_brick(), tmp_path / "a.onnx", data=images(), int8=True)
    assert done.real
    assert done.file.accuracy == done.brick.accuracy
    assert done.int8 is not None
    assert done.int8.accuracy is not None
    assert session(tmp_path / "a.int8.onnx").get_inputs()[0].name == "images"


def test_pt2_is_scored_by_labels_that_are_mapped(tmp_path: Path) -> None:
    plain = export(make_brick(), tmp_path / "a.pt2", to="pt2", data=images())
    named = {"moggy": "cat", "hound": "dog", "reynard": "fox"}
    mapped = export(make_brick(), tmp_path / "b.pt2", to="pt2", data=images(classes=tuple(named)), mapping=named)
    assert mapped.file.accuracy == plain.file.accuracy
    assert mapped.file.accuracy is not None


def test_pt2_runs_with_any_batch(tmp_path: Path) -> None:
    brick = with_rule(make_brick())
    export(brick, tmp_path / "a.pt2", to="pt2")
    shown = torch.rand(7, 3, 12, 12)
    logits, turned_away = torch.export.load(tmp_path / "a.pt2").module()(shown)
    assert torch.allclose(logits, brick(shown), atol=1e-5)
    assert turned_away.dtype == torch.bool


def test_pt2_says_what_it_is(tmp_path: Path) -> None:
    export(make_brick(), tmp_path / "a.pt2", to="pt2")
    from modellego.exporting.program import read_metadata

    assert json.loads(read_metadata(tmp_path / "a.pt2")["classes"]) == ["cat", "dog", "fox"]


def test_pt2_that_differs_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verb_module, "difference", lambda *_: 1.0)
    with pytest.raises(ExportError, match="differ from the brick's"):
        export(make_brick(), tmp_path / "a.pt2", to="pt2")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("a.pt2", {"to": "onnx"}, "must end in .onnx"),
        ("a.bin", {"to": "tflite"}, "onnx or pt2"),
        ("a.onnx", {"int8": True}, "give data"),
        ("a.pt2", {"to": "pt2", "int8": True}, "export to onnx"),
        ("no/a.onnx", {}, "does not exist"),
        ("a.onnx", {"prepared": True, "image_size": (9, 9)}, "leave the image size out"),
        ("a.onnx", {"image_size": (0, 9)}, "1 or more"),
    ],
)
def test_what_cannot_be_is_refused_before_work(name: str, options: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=said):
        export(make_brick(), tmp_path / name, **options)


def test_an_assembled_model_is_not_exported_without_preprocessing(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="assembled"):
        export(beside(), tmp_path / "a.onnx", prepared=True)


def test_an_existing_file_stays(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_text("mine")
    with pytest.raises(ExportError, match="exists"):
        export(make_brick(), tmp_path / "a.onnx")
    assert (tmp_path / "a.onnx").read_text() == "mine"
