"""The body of a network: what its last linear layer reads, over the network's own layers."""

import copy

import torch
from torch import nn

from modellego.brick.body import body_of, find_head
from modellego.capture import capture


def network() -> torch.fx.GraphModule:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 6), nn.ReLU()]
    return capture(nn.Sequential(*layers, nn.Linear(6, 3)).eval(), (1, 4, 4)).graph


IMAGES = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(1))


def test_the_head_of_the_body_gives_the_logits() -> None:
    net = network()
    head = find_head(net)
    features = body_of(net, head)(IMAGES)
    weight, bias = head.parameters()
    assert features.shape == (5, 6)
    assert torch.allclose(features @ weight.T + bias, net(IMAGES), atol=1e-6)


def test_the_body_has_the_networks_own_tensors() -> None:
    net = network()
    body = body_of(net, find_head(net))
    net.double()
    assert body(IMAGES.double()).dtype == torch.float64
    with torch.no_grad():
        net.get_submodule("4").weight.zero_()
    assert torch.equal(body(IMAGES.double()), body(2 * IMAGES.double()))


def test_chosen_rows_are_in_the_order_of_the_logits() -> None:
    class Chosen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Flatten(), nn.Linear(16, 6))
            self.register_buffer("rows", torch.tensor([4, 0, 5]))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.index_select(self.net(x), 1, self.rows)

    net = capture(Chosen().eval(), (1, 4, 4)).graph
    head = find_head(net)
    weight, bias = head.parameters()
    assert torch.allclose(body_of(net, head)(IMAGES) @ weight.T + bias, net(IMAGES), atol=1e-6)


def test_a_network_without_a_last_linear_layer_has_none() -> None:
    assert find_head(capture(nn.Sequential(nn.Flatten(), nn.Linear(16, 3), nn.ReLU()).eval(), (1, 4, 4)).graph) is None


def test_a_copy_has_a_body_of_its_own() -> None:
    net = network()
    again = copy.deepcopy(net)
    with torch.no_grad():
        again.get_submodule("4").weight.zero_()
    assert not torch.equal(body_of(net, find_head(net))(IMAGES), body_of(again, find_head(again))(IMAGES))
