"""Network input, whatever holds it: picked, cut into batches, gone through again."""

import pytest
import torch

from modellego.data.chunks import Batches, NetworkInput, number_of, picked
from modellego.data.feed import Inputs
from modellego.data.store import ArrayStore
from modellego.preprocess import Frame

IMAGES = torch.arange(7.0).reshape(7, 1, 1, 1).expand(7, 1, 2, 2).contiguous() / 8
KINDS: dict[str, NetworkInput] = {
    "tensor": IMAGES,
    "decoded": Inputs(ArrayStore(IMAGES.numpy()), Frame((1, 2, 2)), lambda images: images),
    "batches": [IMAGES[:3], IMAGES[3:]],
}


@pytest.mark.parametrize("kind", KINDS)
def test_picked_images_are_those_asked_for(kind: str) -> None:
    rows = torch.tensor([0, 2, 3, 6])
    found = picked(KINDS[kind], rows)
    assert number_of(found) == 4
    assert torch.equal(torch.cat(list(Batches(found, 2))), IMAGES[rows])


def test_what_is_decoded_as_it_comes_stays_so() -> None:
    assert isinstance(picked(KINDS["decoded"], torch.tensor([1])), Inputs)


@pytest.mark.parametrize("kind", KINDS)
def test_batches_hold_no_more_than_asked_each_time(kind: str) -> None:
    batches = Batches(KINDS[kind], 3)
    assert len(batches) == 7
    for _ in range(2):
        assert max(map(len, batches)) == 3
        assert torch.equal(torch.cat(list(batches)), IMAGES)
