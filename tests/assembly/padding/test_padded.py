"""Padded equals parallel, for networks of every shape of graph, cut at random."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from modellego.assembly import assemble
from modellego.brick import Brick, load
from modellego.channels import analyse
from modellego.cut import cut, plan_cut
from modellego.errors import AssemblyError
from modellego.preprocess import Preprocess
from modellego.sources.whole import whole_brick
from modellego.zoo import build
from tests.assembly.nets import NETS, random_brick, relative

IMAGES = torch.rand(3, 3, 7, 9, generator=torch.Generator().manual_seed(0))
EXACT = {torch.float64: 1e-10, torch.float32: 1e-5}


@settings(deadline=None, max_examples=6)
@given(data=st.data())
@pytest.mark.parametrize("kind", NETS)
def test_padded_equals_parallel(kind: str, data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 3), "bricks")
    dtype = data.draw(st.sampled_from([torch.float32, torch.float64]), "dtype")
    share = data.draw(st.sampled_from([1.0, 0.7, 0.4]), "share")
    equal = data.draw(st.booleans(), "equal widths and normalisation")
    bricks = [
        random_brick(
            kind,
            4 if equal else data.draw(st.sampled_from([3, 5]), "width"),
            data.draw(st.sampled_from([1, 3]), "classes"),
            seed=data.draw(st.integers(0, 99), "seed"),
            dtype=dtype,
            share=share,
            mean=0.5 if equal else 0.3 + 0.1 * k,
            prefix="abc"[k],
            shuffled=data.draw(st.booleans(), "logits out of order"),
        )
        for k in range(count)
    ]
    padded, parallel = assemble(bricks, layout="padded"), assemble(bricks)
    assert isinstance(padded, Brick)
    assert padded.classes == parallel.classes
    assert relative(padded(IMAGES), parallel(IMAGES)) < EXACT[dtype]


@pytest.mark.parametrize("name", ["lenet5", "vgg16_bn", "resnet20", "googlenet"])
def test_zoo_networks(name: str) -> None:
    torch.manual_seed(0)
    bricks = []
    for k, width in enumerate((0.1, 0.15)):
        preprocess = Preprocess(3, 32, 32, mean=(0.4 + 0.1 * k,), std=(0.2,))
        net = build(name, 3, width=width).double()
        bricks.append(whole_brick(net, preprocess, [f"{k}.{i}" for i in range(3)]))
    padded, parallel = assemble(bricks, layout="padded"), assemble(bricks)
    images = torch.rand(2, 3, 32, 32)
    assert relative(padded(images), parallel(images)) < EXACT[torch.float64]


def test_where_bricks_drop_out_unlike_shares_the_least_is_dropped() -> None:
    bricks = []
    for k, share in enumerate((0.5, 0.2)):
        net = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.Dropout(share), nn.Linear(4, 2)).double()
        bricks.append(whole_brick(net, Preprocess(3, 2, 2), [f"{k}.0", f"{k}.1"]))
    padded, parallel = assemble(bricks, layout="padded"), assemble(bricks)
    images = torch.rand(2, 3, 2, 2)
    assert relative(padded(images), parallel(images)) < EXACT[torch.float64]
    assert [m.p for m in padded.modules() if isinstance(m, nn.Dropout)] == [0.2]


def two(kind: str, **second: object) -> list[Brick]:
    return [random_brick(kind, 4, 2, 0), random_brick(**{"kind": kind, "width": 5, "classes": 3, "seed": 1} | second)]  # type: ignore[arg-type]


def test_equal_normalisation_shares_the_image() -> None:
    padded = assemble(two("plain"), layout="padded")
    assert padded.network.get_submodule("stem.0").in_channels == 3
    assert padded.info.preprocess == two("plain")[0].info.preprocess


def test_unlike_normalisation_reads_one_copy_a_brick() -> None:
    padded = assemble(two("plain", mean=0.1), layout="padded")
    stem = padded.network.get_submodule("stem.0").weight
    assert stem.shape[:2] == (9, 6)
    assert not stem[:4, 3:].any()
    assert not stem[4:, :3].any()
    assert padded.info.preprocess.mean == (0.0, 0.0, 0.0)


def test_unlike_normalisation_is_exact_at_the_borders() -> None:
    bricks = two("plain", mean=0.1)
    images = torch.zeros(1, 3, 6, 6)  # black: normalised far from the zeros that the convolution pads with
    assert relative(assemble(bricks, layout="padded")(images), assemble(bricks)(images)) < 1e-10


def test_inner_layers_are_block_diagonal() -> None:
    padded = assemble(two("residual"), layout="padded")
    weight = padded.network.get_submodule("one.0").weight
    assert weight.shape[:2] == (9, 9)
    assert not weight[:4, 4:].any()
    assert not weight[4:, :4].any()
    assert padded.network.get_submodule("head").weight.shape == (5, 9)


def test_concatenation_interleaves_columns() -> None:
    padded = assemble(two("concat"), layout="padded")
    join = padded.network.get_submodule("join").weight
    owner = torch.tensor([0] * 4 + [1] * 5 + [0] * 4 + [1] * 5 + [0] * 8 + [1] * 10)
    assert not join[:4][:, owner == 1].any()
    assert join[:4][:, owner == 0].all()


def test_same_widths_need_no_rearranging_but_for_what_is_split() -> None:
    padded = assemble(two("gated"), layout="padded")
    picks = [n for n in padded.network.graph.nodes if "index_select" in str(n.target)]
    assert len(picks) == 1  # the gate of one channel, repeated for each brick's channels


def test_a_padded_brick_can_be_padded_again() -> None:
    a, b, c, d = (random_brick("concat", 3 + s, 2, s, prefix="abcd"[s], mean=0.2 + 0.1 * s) for s in range(4))
    halves = [assemble([a, b], layout="padded"), assemble([c, d], layout="padded")]
    whole = assemble(halves, layout="padded")
    assert relative(whole(IMAGES), assemble([a, b, c, d])(IMAGES)) < 1e-10


@pytest.mark.parametrize("kind", NETS)
def test_a_padded_brick_can_be_cut_again(kind: str) -> None:
    bricks = two(kind, mean=0.1)
    padded = assemble(bricks, layout="padded")
    network = padded.captured()
    channels = analyse(network)
    small = cut(plan_cut(network, channels, channels.keep_all(), [4, 0]))
    inputs = padded.prepare(IMAGES)
    assert relative(small.graph(inputs), padded(IMAGES)[:, [4, 0]]) < 1e-10


@pytest.mark.parametrize("kind", NETS)
def test_saved_and_loaded(kind: str, tmp_path: object) -> None:
    padded = assemble(two(kind, mean=0.1), layout="padded")
    again = load(padded.save(f"{tmp_path}/both.brick"))
    assert torch.equal(again(IMAGES), padded(IMAGES))


def test_trains() -> None:
    padded = assemble(two("concat"), layout="padded").train()
    padded(IMAGES).sum().backward()
    assert all(p.grad is not None for p in padded.parameters())


def test_the_bricks_stay_as_they_are() -> None:
    bricks = two("plain")
    before = [{k: v.clone() for k, v in b.state_dict().items()} for b in bricks]
    with torch.no_grad():
        for parameter in assemble(bricks, layout="padded").parameters():
            parameter.zero_()
    assert all(
        torch.equal(v, b.state_dict()[k]) for b, held in zip(bricks, before, strict=True) for k, v in held.items()
    )


# what cannot be padded is refused, naming the layers and shapes


def test_unlike_topologies_are_refused() -> None:
    bricks = [random_brick("plain", 4, 2, 0), random_brick("residual", 4, 2, 1, prefix="d")]
    said = r"different topology.*plain0 has more\.0 \(Conv2d\) \[1, 4, 6, 6\].*residual1 has one\.0"
    with pytest.raises(AssemblyError, match=said):
        assemble(bricks, layout="padded")


def test_unlike_settings_are_refused() -> None:
    def net(stride: int) -> Brick:
        layers = nn.Sequential(nn.Conv2d(1, 2, 3, stride, 1), nn.Flatten(), nn.Linear(2 * (4 // stride) ** 2, 2))
        return whole_brick(layers, Preprocess(1, 4, 4))

    with pytest.raises(AssemblyError, match=r"stride \[1, 1\] and \[2, 2\]"):
        assemble([net(1), net(2)], layout="padded")


def test_unlike_input_sizes_are_refused() -> None:
    with pytest.raises(AssemblyError, match="plain0 reads inputs of 3x6x6 and plain1 of 3x8x8"):
        assemble(two("plain", size=8), layout="padded")


def test_unlike_resizing_is_refused() -> None:
    bricks = two("plain")
    bricks[1].info = bricks[1].info.changed(preprocess=replace(bricks[1].info.preprocess, resize="crop"))
    with pytest.raises(AssemblyError, match="'squash' and plain1 by 'crop'"):
        assemble(bricks, layout="padded")


def test_unlike_dtypes_are_refused() -> None:
    with pytest.raises(AssemblyError, match="plain0 holds float64 and plain1 holds float32"):
        assemble(two("plain", dtype=torch.float32), layout="padded")


def conv_brick(*layers: nn.Module, features: int) -> Brick:
    return whole_brick(nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, 2)), Preprocess(4, 3, 3))


def test_unequal_groups_are_refused() -> None:
    bricks = [conv_brick(nn.Conv2d(4, c, 1), nn.Conv2d(c, 4, 1, groups=2), features=36) for c in (4, 8)]
    with pytest.raises(AssemblyError, match=r"model's 1 \(Conv2d\).*unequal groups, of 2 and 4 channels in and 2 out"):
        assemble(bricks, layout="padded")


def test_a_group_norm_over_both_is_refused() -> None:
    bricks = [conv_brick(nn.Conv2d(4, c, 1), nn.GroupNorm(1, c), features=9 * c) for c in (4, 8)]
    with pytest.raises(AssemblyError, match=r"GroupNorm.*group norm over both"):
        assemble(bricks, layout="padded")


def test_a_layer_norm_over_channels_is_refused() -> None:
    bricks = [
        whole_brick(nn.Sequential(nn.Flatten(), nn.Linear(9, 5), nn.LayerNorm(5), nn.Linear(5, 2)), Preprocess(1, 3, 3))
        for _ in range(2)
    ]
    with pytest.raises(AssemblyError, match="layer norm over the channels of both"):
        assemble(bricks, layout="padded")


class Mixing(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, channels, 1)
        self.head = nn.Linear(9, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(x).amax(1).flatten(1))


def test_an_op_that_mixes_channels_is_refused() -> None:
    with pytest.raises(AssemblyError, match=r"aten\.amax\.default.*mixes the channels of both"):
        assemble([whole_brick(Mixing(c), Preprocess(1, 3, 3)) for c in (2, 3)], layout="padded")


def test_a_refusal_comes_before_any_weight_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    bricks = [conv_brick(nn.Conv2d(4, c, 1), nn.GroupNorm(1, c), features=9 * c) for c in (4, 8)]
    monkeypatch.setattr(torch, "cat", None)
    with pytest.raises(AssemblyError):
        assemble(bricks, layout="padded", scale="layers", data="nowhere")
