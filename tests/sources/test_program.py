"""Exported programs as sources, and what is said of files that are none."""

import pickle
import re
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from modellego.errors import SourceError
from modellego.sources import load_source
from modellego.sources.whole import whole_brick


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(48, 3)).eval()


def save(path: Path, *, fixed: bool = False, decomposed: bool = False) -> Path:
    shapes = None if fixed else ({0: torch.export.Dim("batch")},)
    program = torch.export.export(net(), (torch.zeros(2, 1, 5, 6),), dynamic_shapes=shapes)
    torch.export.save(program.run_decompositions() if decomposed else program, path)
    return path


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return save(tmp_path / "net.pt2")


def test_an_exported_program_is_a_source(program: Path) -> None:
    source = load_source(str(program), mean="0.5", std="0.25", class_names="a,b,c")
    preprocess = source.preprocess
    assert (preprocess.channels, preprocess.height, preprocess.width, source.name) == (1, 5, 6, "net")
    brick = whole_brick(source.model, preprocess, source.classes, source.name)
    images = torch.rand(3, 1, 5, 6)
    torch.testing.assert_close(brick(images), net()((images - 0.5) / 0.25))


def test_a_fixed_batch_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"reads batches of 2 alone: .*dynamic_shapes"):
        load_source(str(save(tmp_path / "net.pt2", fixed=True)))


@pytest.mark.filterwarnings("ignore")
def test_core_ops_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="was decomposed into core ops"):
        load_source(str(save(tmp_path / "net.pt2", decomposed=True)))


def test_what_a_program_holds_itself_cannot_be_given(program: Path) -> None:
    with pytest.raises(SourceError, match="holds its own weights"):
        load_source(str(program), weights="w.pt")
    with pytest.raises(SourceError, match="was exported for an input of 1x5x6: leave its size out"):
        load_source(str(program), input_size=8)


class _Runs:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("inside", ["sample_inputs/model.pt", "constants/custom_obj_0"])
def test_code_in_a_program_is_not_run(program: Path, tmp_path: Path, inside: str) -> None:
    """A file in which one part is a pickle that would make a file when it is read."""
    wicked, mark = tmp_path / "wicked.pt2", tmp_path / "mark"
    with zipfile.ZipFile(program) as old, zipfile.ZipFile(wicked, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("constants_config.json") and "constants" in inside:
                content = b'{"config": {"x": {"path_name": "custom_obj_0", "is_param": false, '
                content += b'"use_pickle": true, "tensor_meta": null}}}'
            if not name.endswith(inside):
                new.writestr(name, content)
        new.writestr(f"net/data/{inside}", pickle.dumps(_Runs(mark)))
    with pytest.raises(SourceError):
        load_source(str(wicked))
    assert not mark.exists()


def test_a_size_that_is_code_is_not_evaluated(program: Path, tmp_path: Path) -> None:
    wicked, mark = tmp_path / "wicked.pt2", tmp_path / "mark"
    with zipfile.ZipFile(program) as old, zipfile.ZipFile(wicked, "w") as new:
        for name in old.namelist():
            code = f"open({str(mark)!r}, 'w')"
            new.writestr(name, re.sub(rb'"expr_str": "[^"]+"', f'"expr_str": "{code}"'.encode(), old.read(name)))
    with pytest.raises(SourceError, match="has sizes that are worked out otherwise"):
        load_source(str(wicked))
    assert not mark.exists()


def test_a_broken_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.pt2").write_bytes(b"nothing")
    with pytest.raises(SourceError, match=r"is not an exported program .*torch\.export\.save"):
        load_source(str(tmp_path / "net.pt2"))


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("net.onnx", "is an ONNX file, which is not read: name the PyTorch model"),
        ("net.safetensors", "holds weights at best, .* give this file as its weights"),
        ("net.py", r"write .*net\.py:callable"),
        ("net.tflite", "is no PyTorch model"),
    ],
)
def test_files_of_other_kinds_are_told_the_way(file: str, says: str, tmp_path: Path) -> None:
    (tmp_path / file).touch()
    with pytest.raises(SourceError, match=says):
        load_source(str(tmp_path / file))


@pytest.mark.parametrize("file", ["net.onnx", "net.pt", "net.safetensors"])
def test_a_file_that_is_not_there_is_said_to_be_missing(file: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=f"there is no file .*{file}"):
        load_source(str(tmp_path / file))


@pytest.mark.filterwarnings("ignore")
def test_torchscript_is_told_the_way_as_model_and_as_weights(tmp_path: Path) -> None:
    file = tmp_path / "net.pt"
    torch.jit.save(torch.jit.trace(net(), torch.zeros(1, 1, 5, 6)), file)
    with pytest.raises(SourceError, match=r"is TorchScript, .*torch\.jit\.load\(.*state_dict\(\)"):
        load_source(str(file))
    with pytest.raises(SourceError, match=r"is TorchScript, .*torch\.jit\.load\(.*state_dict\(\)"):
        load_source("zoo:lenet5", weights=file)
