"""Predicting for images as people hold them: whatever holds the same pixels says the same."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from modellego.brick import Brick, Reject
from modellego.data.store import FileStore
from modellego.errors import DataError
from modellego.evaluation import Prediction, predict, predict_each, predict_proba
from modellego.preprocess import Preprocess
from modellego.sources.whole import whole_brick

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 12, 10, 3), dtype=np.uint8)
CLASSES = ("cat", "dog", "fox")


@pytest.fixture
def brick() -> Brick:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    return whole_brick(net, Preprocess(3, 8, 8, (0.4,), (0.2,)), CLASSES)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    for number, pixels in enumerate(PIXELS):
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    return sorted(tmp_path.iterdir())


def held(files: list[Path]) -> dict[str, object]:
    """The same images in every way there is to hold them."""
    floats = torch.from_numpy(PIXELS).permute(0, 3, 1, 2) / 255
    return {
        "folder": files[0].parent,
        "text": str(files[0].parent),
        "paths": files,
        "PIL": [Image.open(file) for file in files],
        "bytes": PIXELS,
        "floats": PIXELS / 255,
        "doubles in a list": list(PIXELS.astype(np.float64) / 255),
        "tensor": floats,
        "byte tensor": torch.from_numpy(PIXELS).permute(0, 3, 1, 2),
        "tensors": list(floats),
        "a mix": [files[0], Image.fromarray(PIXELS[1]), PIXELS[2]],
    }


WAYS = (
    *("folder", "text", "paths", "PIL", "bytes", "floats", "doubles in a list", "tensor", "byte tensor", "tensors"),
    "a mix",
)


@pytest.mark.parametrize("way", WAYS)
def test_the_same_pixels_say_the_same(brick: Brick, files: list[Path], way: str) -> None:
    with torch.no_grad():
        want = brick(held(files)["tensor"]).double().softmax(1).numpy()
    given = held(files)[way]
    np.testing.assert_allclose(brick.predict_proba(given), want, atol=1e-6)
    found = brick.predict(given)
    assert [p.label for p in found] == [CLASSES[k] for k in want.argmax(1)]
    assert [p.probability for p in found] == pytest.approx(want.max(1), abs=1e-6)


def test_one_image_gives_one_prediction(brick: Brick, files: list[Path]) -> None:
    for image in (files[0], Image.open(files[0]), PIXELS[0], PIXELS[0] / 255, torch.rand(3, 5, 5)):
        assert len(brick.predict(image)) == len(predict(brick, image)) == len(brick.predict_proba(image)) == 1


def test_grey_arrays_need_no_channel(brick: Brick) -> None:
    grey = PIXELS[0, :, :, 0]
    np.testing.assert_allclose(predict_proba(brick, grey), predict_proba(brick, np.stack([grey] * 3, 2)), atol=1e-6)


@pytest.mark.parametrize(
    ("images", "why"),
    [
        (torch.full((1, 3, 8, 8), 255.0), "go up to 255: divide bytes by 255"),
        (PIXELS.astype(np.float32), "divide bytes by 255"),
        (torch.full((3, 8, 8), -0.5), "leave normalisation to the brick"),
        (torch.full((3, 8, 8), torch.nan), "must lie in"),
        (torch.zeros(3, 8, 8, dtype=torch.int64), "not torch.int64"),
        (np.zeros((8, 8, 3), np.int32), "not int32"),
        (np.zeros((3, 8, 8), np.uint8), r"c 1 or 3, not \[3, 8, 8\]"),
        (torch.zeros(8, 8), "a tensor of images has the shape"),
        ([PIXELS[0], 5], "not a int"),
        ("none.png", "there is no image none.png"),
    ],
)
def test_what_is_no_image_is_refused(brick: Brick, images: object, why: str) -> None:
    with pytest.raises(DataError, match=why):
        brick.predict(images)


def test_a_truncated_pil_image_is_named(brick: Brick, files: list[Path]) -> None:
    files[0].write_bytes(files[0].read_bytes()[:100])
    with Image.open(files[0]) as image, pytest.raises(DataError, match="image 1 cannot be decoded"):
        brick.predict([PIXELS[0], image])


def test_what_is_turned_away_has_no_label(brick: Brick) -> None:
    brick.info = brick.info.changed(reject=Reject(threshold=2.0, statistic="max_probability"))
    (found,) = brick.predict(PIXELS[0])
    assert (found.rejected, found.label, found.probability) == (True, None, None)
    assert found.classes[0] in CLASSES


@pytest.mark.parametrize("batch_size", [1, 2, 10])
def test_a_broken_file_is_passed_over(brick: Brick, files: list[Path], batch_size: int) -> None:
    whole = brick.predict(files)
    files[1].write_bytes(b"nothing")
    first, error, last = predict_each(brick, FileStore(files), batch_size=batch_size)
    assert isinstance(first, Prediction)
    assert isinstance(last, Prediction)
    assert "1.png cannot be decoded" in str(error)
    assert [*first.probabilities, *last.probabilities] == pytest.approx(
        [*whole[0].probabilities, *whole[2].probabilities]
    )
