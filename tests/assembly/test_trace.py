"""Nothing is worked out twice while bricks are put together: shapes and images."""

from typing import Any

import pytest
import torch

from modellego import zoo
from modellego.assembly.verb import assemble
from modellego.brick import Brick
from modellego.capture.network import annotate
from modellego.channels import analyse
from modellego.data import Data, load_data
from modellego.disassembly.verb import disassemble
from modellego.preprocess import Preprocess
from modellego.sources.whole import whole_brick

from ..trace import calls, counted

WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "padded": {"layout": "padded"},
    "scaled layers": {"scale": "layers"},
    "padded, scaled layers": {"layout": "padded", "scale": "layers"},
    "padded, scaled logits": {"layout": "padded", "scale": "logits"},
    "affine": {"calibrate": "affine"},
    "head": {"calibrate": "head"},
    "padded, head": {"layout": "padded", "calibrate": "head"},
    "prior": {"calibrate": "prior"},
    "reject": {"calibrate": "head", "reject": 0.9},
}
ANNOTATIONS = {"padded": 2}  # of the network put together, and of it with the joint behind


@pytest.fixture(scope="module")
def digits() -> Data:
    return load_data("digits")


@pytest.fixture(scope="module")
def bricks(digits: Data) -> list[Brick]:
    torch.manual_seed(0)
    whole = whole_brick(zoo.build("lenet5", 10, 1, 8).eval(), Preprocess(1, 8, 8), digits.classes)
    data = Data(digits.train)
    return [disassemble(whole, data, classes, refit_images=0) for classes in ("0-1", "7,3")]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.filterwarnings("ignore:no sample of")
def test_few_annotations_and_every_image_decoded_once(bricks: list[Brick], digits: Data, way: str) -> None:
    train, decoded = counted(digits.train)
    with calls(annotate, analyse) as found:
        assemble(bricks, data=train, per_class=10, **WAYS[way])
    assert found["annotate"] <= ANNOTATIONS.get(way.partition(",")[0], 0)
    assert found["analyse"] == 0
    assert set(decoded.values()) <= {1}
