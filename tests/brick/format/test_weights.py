"""Broken and malicious files of weights, and things that are no files: each is refused in one sentence."""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from modellego.brick import load

Refusal = Callable[[Path], str]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(folder / "model.safetensors")


def with_header(header: Any, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda w: w.pop("head.bias"), "lacks the tensor head.bias"),
        (lambda w: w.update(spare=torch.zeros(1)), "'spare', which no layer has"),
        (lambda w: w.update({"head.bias": torch.zeros(4)}), r"head.bias has shape \[4\]"),
        (lambda w: w.update({"head.bias": torch.zeros(3, 1)}), "shape"),
        (lambda w: w.update({"head.bias": torch.zeros(3, dtype=torch.float64)}), "head.bias is F64"),
        (lambda w: w.update({"norm.num_batches_tracked": torch.zeros(())}), "num_batches_tracked is F32"),
        (lambda w: w.clear(), "and 11 more"),
        (lambda w: w.update({"../evil": torch.zeros(1)}), "no layer has"),
    ],
    ids=["missing", "extra", "misshapen", "other rank", "other dtype", "float for int", "empty", "traversal"],
)
def test_tensors_that_do_not_fit_are_refusal(
    folder: Path, refusal: Refusal, change: Callable[[Any], Any], complaint: str
) -> None:
    tensors = weights(folder)
    change(tensors)
    safetensors.torch.save_file(tensors, folder / "model.safetensors")
    with pytest.raises(AssertionError, match=complaint):
        raise AssertionError(refusal(folder))


@pytest.mark.parametrize("keep", [0, 7, 8, 100, -1, -100])
def test_weights_cut_off_are_refusal(folder: Path, refusal: Refusal, keep: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    assert "model.safetensors" in refusal(folder)


def test_weights_with_bytes_behind_are_refusal(folder: Path, refusal: Refusal) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes() + b"\0" * 16)
    assert "model.safetensors" in refusal(folder)


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<Q", 2**63), struct.pack("<Q", 2**26) + b"{}", struct.pack("<Q", 10**9) + b"{" * 100,
        with_header(b"not json"), with_header([]), with_header(b"\xff"), with_header(b"[" * 100_000), with_header({}),
        b"\x80\x04\x95", b"PK\x03\x04" + b"\0" * 100, with_header(b'{"a":1,"a":2}'),
    ],
    ids=["2^63", "2^26", "10^9", "text", "list", "bytes", "deep", "empty", "pickle", "zip", "twice"],
)  # fmt: skip
def test_a_broken_header_is_refusal(folder: Path, refusal: Refusal, data: bytes) -> None:
    (folder / "model.safetensors").write_bytes(data)
    assert "model.safetensors" in refusal(folder)


def forge(folder: Path, name: str, **entry: Any) -> None:
    """Change one tensor's entry in the header and leave the bytes as they are."""
    path = folder / "model.safetensors"
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    header[name].update(entry)
    path.write_bytes(with_header(header, data[8 + length :]))


@pytest.mark.parametrize(
    "entry",
    [
        {"data_offsets": [0, 2**40]},
        {"data_offsets": [2**40, 2**40 + 12]},
        {"data_offsets": [-12, 0]},
        {"data_offsets": [12, 0]},
        {"data_offsets": [0, 12]},
        {"data_offsets": [0]},
        {"data_offsets": "0,12"},
        {"dtype": "F8_E4M3"},
        {"dtype": None},
        {"shape": [True, 3]},
        {"shape": 3},
        {"code": "x"},
    ],
    ids=str,
)
def test_a_forged_entry_of_the_header_is_refusal(folder: Path, refusal: Refusal, entry: dict[str, Any]) -> None:
    forge(folder, "head.bias", **entry)
    assert "model.safetensors" in refusal(folder)


SIZE = 12  # bytes of head.bias: three float32


def room(folder: Path) -> int:
    """Return how many bytes of numbers the file holds."""
    data = (folder / "model.safetensors").read_bytes()
    return len(data) - 8 - int(struct.unpack("<Q", data[:8])[0])


@pytest.mark.parametrize(
    "offsets",
    [
        lambda end: [0, SIZE - 1],
        lambda end: [0, SIZE + 1],
        lambda end: [-1, SIZE - 1],
        lambda end: [end - SIZE + 1, end + 1],
        lambda end: [end, end + SIZE],
        lambda end: [SIZE, 0],
    ],
    ids=["too short", "too long", "before the front", "one byte behind the end", "behind the end", "backwards"],
)
def test_offsets_out_of_range_are_refused_before_any_tensor_is_made(
    folder: Path, refusal: Refusal, monkeypatch: pytest.MonkeyPatch, offsets: Callable[[int], list[int]]
) -> None:
    monkeypatch.setattr("safetensors.torch.load", lambda data: pytest.fail("tensors were made"))
    forge(folder, "head.bias", data_offsets=offsets(room(folder)))
    assert refusal(folder).endswith("broken: the bytes of tensor head.bias are not all there")


@pytest.mark.parametrize("at", [lambda end: 0, lambda end: end - SIZE], ids=["first", "last"])
def test_offsets_at_either_end_are_in_range(folder: Path, refusal: Refusal, at: Callable[[int], int]) -> None:
    """What is amiss then is that two tensors lie at one place, which the library that reads them says."""
    begin = at(room(folder))
    forge(folder, "head.bias", data_offsets=[begin, begin + SIZE])
    assert "head.bias are not all there" not in refusal(folder)


@pytest.mark.parametrize("name", ["brick.json", "model.safetensors"])
@pytest.mark.parametrize("kind", ["missing", "link", "folder", "pipe", "unreadable link"])
def test_anything_but_plain_files_is_refusal(folder: Path, refusal: Refusal, name: str, kind: str) -> None:
    path = folder / name
    if kind == "link":
        path.rename(folder.parent / "real")
        path.symlink_to(folder.parent / "real")
    else:
        path.unlink()
        if kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "unreadable link":
            path.symlink_to("/nowhere")
    assert name in refusal(folder)


def test_a_file_that_is_too_large_is_not_read(folder: Path, refusal: Refusal) -> None:
    with open(folder / "model.safetensors", "ab") as file:
        file.truncate(2**40)  # a hole: it takes no room
    assert "bytes" in refusal(folder)


def test_a_document_that_is_too_large_is_not_read(folder: Path, refusal: Refusal) -> None:
    with open(folder / "brick.json", "ab") as file:
        file.truncate(2**40)
    assert "bytes" in refusal(folder)


@pytest.mark.parametrize(
    "make", [lambda p: None, lambda p: p.mkdir(), lambda p: p.write_text("x")], ids=["none", "empty", "file"]
)
def test_what_is_no_brick_is_refusal(tmp_path: Path, refusal: Refusal, make: Callable[[Path], Any]) -> None:
    make(tmp_path / "a")
    assert str(tmp_path / "a") in refusal(tmp_path / "a")


def test_other_files_beside_do_no_harm(folder: Path, refusal: Refusal) -> None:
    (folder / "README.md").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04cos\nsystem\n(S'true'\ntR.")
    (folder / ".git").mkdir()
    assert load(folder).classes == ("cat", "dog", "fox")


def test_loading_never_unpickles(folder: Path, refusal: Refusal, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: object, **kwargs: object) -> None:
        raise AssertionError("pickle was used")

    monkeypatch.setattr("pickle.load", never)
    monkeypatch.setattr("pickle.loads", never)
    monkeypatch.setattr("torch.load", never)
    load(folder)
