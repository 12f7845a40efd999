"""Each criterion against its paper's formula, written out literally, channel by channel and image by image."""

import itertools
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from modellego.capture import capture
from modellego.channels import analyse
from modellego.locate import Request, rank
from modellego.locate.criteria import CRITERIA
from modellego.locate.ranks import average_ranks, map_nodes
from modellego.zoo import build


def scores_by(name: str, of: Request) -> np.ndarray[Any, np.dtype[np.float64]]:
    return CRITERIA.find(name).scores(of)


@cache
def looked_at() -> tuple[nn.Sequential, Request]:
    """The chain and a request for it, captured once; not to be changed."""
    model = chain()
    return model, request(model)


def chain() -> nn.Sequential:
    """Three convolutions one after the other, two of them with a batch norm: no set is in two layers."""
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 5, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(5, 4),
    )
    for norm in (model[1], model[4]):
        norm.weight.data.uniform_(0.5, 2)
        norm.bias.data.uniform_(-1, 0.5)
        norm.running_mean.uniform_(-0.3, 0.3)
        norm.running_var.uniform_(0.2, 1)
    return model.eval()


CONVS = ("0", "3", "6")
# the modules whose outputs the next layer reads
READ = {"0": 2, "3": 5, "6": 7}


def request(model: nn.Module, size: int = 8, images: int = 7) -> Request:
    network = capture(model, (3, size, size))
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(images, 3, size, size, generator=generator)
    return Request(network, analyse(network), drawn, torch.arange(images) % 3, [0, 1, 2, 3], batch=3)


def channel_groups_of(of: Request, layer: str) -> np.ndarray:
    return of.channels.layer_out[layer]


def weights(model: nn.Sequential, layer: str) -> np.ndarray:
    return model[int(layer)].weight.detach().double().numpy()


def maps(model: nn.Sequential, layer: str, image: torch.Tensor) -> torch.Tensor:
    """What the next layer reads of one image `[3, h, w]`: `[Q, h, w]`."""
    with torch.no_grad():
        return model[: READ[layer] + 1](image[None])[0]


def l1_of(filters: np.ndarray) -> list[float]:
    """Li et al. 2017, section 3.1: s_j = sum_l sum |K_l|."""
    return [sum(float(np.abs(kernel).sum()) for kernel in one) for one in filters]


def fpgm_of(filters: np.ndarray) -> list[float]:
    """He et al. 2019, equation 4: g(x) = sum over j' of ||x - F_j'||_2, at x = F_j."""
    return [sum(float(np.sqrt(((one - other) ** 2).sum())) for other in filters) for one in filters]


def hrank_of(model: nn.Sequential, layer: str, images: torch.Tensor) -> list[float]:
    """Lin et al. 2020, equation 4: the mean over images of Rank(o_j(t, :, :))."""
    seen = [maps(model, layer, image).numpy() for image in images]
    return [float(np.mean([np.linalg.matrix_rank(one[j]) for one in seen])) for j in range(len(seen[0]))]


@pytest.mark.parametrize("layer", CONVS)
@pytest.mark.parametrize("name", ["l1", "fpgm", "hrank"])
def test_a_layers_channels_are_valued_by_the_papers_formula(name: str, layer: str) -> None:
    model, of = looked_at()
    wanted = {
        "l1": lambda: l1_of(weights(model, layer)),
        "fpgm": lambda: fpgm_of(weights(model, layer)),
        "hrank": lambda: hrank_of(model, layer, of.images),
    }[name]()
    # between layers they compare after division by the layer's mean
    assert scores_by(name, of)[channel_groups_of(of, layer)] == pytest.approx(
        np.array(wanted) / np.mean(wanted), rel=1e-5
    )


def gate_loss(
    model: nn.Sequential, layer: str, image: torch.Tensor, label: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss of one image with a gate of 1 on each channel that the layer makes, and the gates."""
    at = READ[layer] + 1
    read = model[:at](image[None]).detach()
    gates = torch.ones(read.shape[1], requires_grad=True)
    return F.cross_entropy(model[at:](read * gates[:, None, None]), label[None]), gates


@pytest.mark.parametrize("layer", CONVS)
def test_taylor_is_the_mean_square_of_the_gates_gradients(layer: str) -> None:
    """Molchanov et al. 2019, equations 8 and 9: (dE/dz)^2 at a gate z = 1, its mean over samples."""
    model, of = looked_at()
    squares = []
    assert of.labels is not None
    for image, label in zip(of.images, of.labels, strict=True):
        loss, gates = gate_loss(model, layer, image, label)
        squares.append(torch.autograd.grad(loss, gates)[0].double() ** 2)
    wanted = torch.stack(squares).mean(0).numpy()
    assert scores_by("taylor", of)[channel_groups_of(of, layer)] == pytest.approx(wanted, rel=1e-4, abs=1e-12)


def test_activation_is_the_mean_magnitude_over_the_layers_mean() -> None:
    model, of = looked_at()
    wanted = np.mean([maps(model, "3", image).abs().sum((1, 2)).double().numpy() for image in of.images], 0)
    assert scores_by("activation", of)[channel_groups_of(of, "3")] == pytest.approx(wanted / wanted.mean(), rel=1e-5)


def test_a_tied_set_gets_the_mean_of_its_layers() -> None:
    torch.manual_seed(0)
    model = build("resnet20", 4, width=0.25, input_size=16)
    of = request(model, 16)
    layers = dict(of.network.graph.named_modules())
    stream = channel_groups_of(of, next(p for p, m in layers.items() if isinstance(m, nn.Conv2d)))
    makers = [p for p, sets in of.channels.layer_out.items() if np.isin(stream, sets).all() and p in layers]
    makers = [p for p in makers if isinstance(layers[p], nn.Conv2d)]
    assert len(makers) > 1
    each = [np.array(l1_of(layers[p].weight.detach().double().numpy())) for p in makers]
    wanted = np.mean([values / values.mean() for values in each], 0)
    assert scores_by("l1", of)[stream] == pytest.approx(wanted, rel=1e-6)


def test_hrank_takes_the_map_in_front_of_pooling_and_flattening() -> None:
    _, of = looked_at()
    nodes = {n.name: n for n in of.network.graph.graph.nodes}
    assert all(nodes[name].meta["shape"][2:] == (8, 8) for name in map_nodes(of.network, of.channels))


def test_hrank_looks_at_maps_that_stand_beside_the_image_too() -> None:
    class Beside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(3, 2, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.second(torch.cat([x, self.first(x)], 1)).mean((2, 3))

    network = capture(Beside().eval(), (1, 4, 4))
    assert [name.split("_")[0] for name in map_nodes(network, analyse(network))] == ["cat"]


def test_hrank_of_plain_units_is_how_often_they_speak() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 3)).eval()
    network = capture(model, (3, 2, 2))
    channels, images = analyse(network), torch.randn(40, 3, 2, 2)
    (found,) = average_ranks(network, channels, images).values()
    with torch.no_grad():
        wanted = (model[:3](images) > 0).double().mean(0)
    assert found[channels.layer_out["1"]] == pytest.approx(wanted.numpy())


def test_hrank_on_more_images_than_it_wants_is_repeatable() -> None:
    of = request(chain(), size=4, images=510)
    first, second = (scores_by("hrank", of) for _ in range(2))
    assert np.array_equal(first, second)


def test_random_differs_by_seed_only() -> None:
    _, of = looked_at()
    drawn = [scores_by("random", Request(of.network, of.channels, of.images, None, of.task, seed=s)) for s in (0, 1, 1)]
    assert np.array_equal(drawn[1], drawn[2])
    assert not np.array_equal(drawn[0], drawn[1])


@pytest.mark.parametrize("name", ["l1", "fpgm"])
def test_filters_are_ranked_alike_whatever_the_layers_scale(name: str) -> None:
    """Between layers: doubling one layer's weights moves nothing."""
    model = chain()
    before = scores_by(name, request(model))
    model[3].weight.data *= 2
    assert scores_by(name, request(model)) == pytest.approx(before, rel=1e-6)


def test_ranked_per_set_the_least_score_goes_first() -> None:
    _, of = looked_at()
    order = rank("l1", of, (1, 1), "groups").order
    assert (np.diff(scores_by("l1", of)[order]) >= 0).all()


def test_fpgm_values_a_duplicate_below_the_rest() -> None:
    model = chain()
    filters = model[3].weight.data
    middle = filters.mean(0)
    filters[2], filters[5] = middle, middle
    of = request(model)
    found = scores_by("fpgm", of)[channel_groups_of(of, "3")]
    assert set(np.argsort(found)[:2]) == {2, 5}
    assert all(found[a] <= found[b] for a, b in itertools.product((2, 5), (0, 1, 3, 4, 6, 7)))
