"""What a ranking works on at once, and how many images its trials take."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from modellego.capture import capture
from modellego.capture.network import peak_numbers
from modellego.channels import analyse
from modellego.locate import eliminate
from modellego.locate.sensitivity import Trials


def tried_on(layers: int, images: int, monkeypatch: pytest.MonkeyPatch, at_once: int = 10**6) -> tuple[int, int]:
    """Return on how many images the trials of a chain are made, and how many of them at once."""
    found: list[tuple[int, int]] = []

    class Noting(Trials):
        def __init__(self, network: Any, images: Tensor, task: Any, batch: int) -> None:
            found.append((len(images), batch))
            super().__init__(network, images, task, batch)

    chain = [m for _ in range(layers) for m in (nn.Linear(4, 4), nn.ReLU())]
    network = capture(nn.Sequential(*chain, nn.Linear(4, 2)), (4,))
    monkeypatch.setattr(eliminate, "Trials", Noting)
    monkeypatch.setattr(eliminate, "MEMORY", at_once * peak_numbers(network) * 4)
    eliminate.gather_reconstructions(network, analyse(network), torch.randn(images, 4), [0, 1], seed=0)
    return found[0]


@pytest.mark.parametrize(
    ("layers", "images", "tried"),
    [(10, 60, 24), (2, 60, 50), (10, 12, 8), (10, 6, 6)],
    ids=["two passes in all", "all that are shown", "eight at least", "no more than there are"],
)
def test_trials_take_about_two_passes_over_all_images(
    layers: int, images: int, tried: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tried_on(layers, images, monkeypatch)[0] == tried


@pytest.mark.parametrize(("at_once", "batch"), [(10**6, 100), (40, 10), (3, 1)])
def test_trials_hold_no_more_images_at_once_than_memory_does(
    at_once: int, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tried_on(2, 60, monkeypatch, at_once)[1] == batch
