"""What a ranking works on at once, how many images its trials take, and what they put in."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from modellego.capture import capture
from modellego.capture.network import all_numbers, peak_numbers
from modellego.channels import analyse
from modellego.locate import eliminate
from modellego.locate.reconstruction import Reconstruction, make_reconstructions
from modellego.locate.sensitivity import Trials, output_metrics


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


@pytest.mark.parametrize(("at_once", "batch"), [(10**6, 50), (7, 7), (0.5, 1)])
def test_gradients_hold_no_more_images_at_once_than_memory_does(
    at_once: float, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[int] = []

    def noting(*given: Any, batch: int, seed: int) -> dict[str, Tensor]:
        found.append(batch)
        return output_metrics(*given, batch=batch, seed=seed)

    network = capture(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)), (4,))
    monkeypatch.setattr(eliminate, "output_metrics", noting)
    monkeypatch.setattr(eliminate, "MEMORY", int(at_once * all_numbers(network) * 4))
    eliminate.gather_reconstructions(network, analyse(network), torch.randn(60, 4), [0, 1], seed=0)
    assert found == [batch]


def test_a_layer_of_two_groups_is_fitted_group_by_group_however_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eliminate, "WIDE", 3)
    layers = (nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 6, 1, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(24, 2))
    network = capture(nn.Sequential(*layers), (3, 2, 2))
    channels = analyse(network)
    found = eliminate.gather_reconstructions(network, channels, torch.randn(20, 3, 2, 2), [0, 1], seed=0)
    grouped = [r for r in found if set(r.groups) <= set(channels.layer_out["0"])]
    assert [type(r) for r in grouped] == [Reconstruction, Reconstruction]


def test_a_trial_puts_in_the_weights_and_shifts_without_half_of_the_inputs() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(4, 3)
    rows = torch.cat([torch.randn(50, 4) + 1, torch.ones(50, 1)], 1).double()
    metric, movable = torch.eye(3, dtype=torch.float64), np.ones(7, dtype=bool)
    gram = (rows.T @ rows / 50)[None]
    (made,) = make_reconstructions(layer, np.arange(4), np.arange(4, 7), gram, metric, 1e-3, movable)
    tried: list[Tensor] = []

    class Noting:
        def harm(self, node: Any, layer: Any, *changed: Tensor) -> float:
            tried.extend(changed)
            return 1.0

    eliminate._measure(Noting(), None, layer, [made])  # type: ignore[arg-type]
    _, wanted = made.cheapest_half()
    torch.testing.assert_close(tried[0].double(), wanted[:4].T, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(tried[1], wanted[4])
