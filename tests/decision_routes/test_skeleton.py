"""The bones of real graphs: stages, skips and branches, and where each feature that is read lies."""

import numpy as np
import pytest
import torch
from torch import nn

from modellego import zoo
from modellego.capture import Network, capture
from modellego.channels import analyse
from modellego.decision_routes.skeleton import Skeleton, skeleton


def bones(model: nn.Module, shape: tuple[int, ...] = (3, 16, 16)) -> tuple[Network, Skeleton]:
    network = capture(model.eval(), shape)
    return network, skeleton(network, analyse(network))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.a, self.b = (nn.Conv2d(i, o, 3, padding=1) for i, o in ((3, 6), (6, 5), (5, 6)))
        self.fc = nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x).relu()
        x = (x + self.b(self.a(x).relu())).relu()
        return self.fc(x.mean((2, 3)))


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.deep = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 2, 1), nn.Conv2d(2, 3, 3, padding=1)
        self.mix = nn.Conv2d(7, 5, 1)
        self.fc = nn.Linear(5 * 16 * 16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.cat([self.left(x), self.deep(self.right(x))], 1)
        return self.fc(self.mix(x).flatten(1))


def test_a_skip_is_a_link_around_the_block() -> None:
    _, found = bones(Residual())
    assert [(s.name, s.kind, len(s.groups)) for s in found.stages] == [
        ("input", "input", 3), ("stem", "conv", 6), ("a", "conv", 5), ("sum", "sum", 6), ("fc", "logits", 4),
    ]  # fmt: skip
    assert {(h.source, h.target, h.reading) for h in found.hops} == {
        (0, 1, "stem"), (1, 2, "a"), (2, 3, "b"), (1, 3, None), (3, 4, "fc"),
    }  # fmt: skip


def test_branches_meet_in_a_junction_and_keep_their_channels_apart() -> None:
    _, found = bones(Branches())
    names = [s.name for s in found.stages]
    assert names == ["input", "left", "right", "deep", "concat", "mix", "fc"]
    left, deep = names.index("left"), names.index("deep")
    assert found.readers["mix"].inputs.tolist() == [[left, i] for i in range(4)] + [[deep, i] for i in range(3)]


def test_features_behind_a_flatten_belong_to_their_channel() -> None:
    _, found = bones(Branches())
    assert (found.readers["fc"].inputs[:, 1] == np.repeat(np.arange(5), 16 * 16)).all()


@pytest.mark.parametrize("name", ["lenet5", "vgg16_bn", "resnet20", "resnet50", "googlenet"])
def test_every_feature_read_in_the_zoo_is_on_a_stage(name: str) -> None:
    network, found = bones(zoo.build(name, 7, width=0.25), (3, 32, 32))
    for reader in found.readers.values():
        for places in (reader.inputs, reader.outputs):
            assert (places >= 0).all()
            assert all(channel < len(found.stages[stage].groups) for stage, channel in places.tolist())
    assert found.stages[-1].kind == "logits"
    assert len(found.stages[-1].groups) == network.num_logits == 7
    assert all(hop.source < hop.target for hop in found.hops)


def test_each_reading_layer_has_its_link() -> None:
    _, found = bones(zoo.build("googlenet", 7, width=0.25), (3, 32, 32))
    assert {hop.reading for hop in found.hops} - {None} == set(found.readers)
