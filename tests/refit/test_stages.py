"""Refit: what can be recovered is recovered, on every kind of layer; nothing else changes."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modellego.capture import capture
from modellego.capture.network import Network
from modellego.channels import analyse
from modellego.channels.channel_map import ChannelMap
from modellego.cut import cut, plan_cut
from modellego.errors import DataError, LegoError
from modellego.refit import RefitOptions, refit


class Residual(nn.Module):
    """A stem, a block with a projected shortcut, a plain block, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.bn0 = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.a1, self.n1 = nn.Conv2d(8, 12, 3, 2, 1, bias=False), nn.BatchNorm2d(12)
        self.a2, self.n2 = nn.Conv2d(12, 10, 3, 1, 1, bias=False), nn.BatchNorm2d(10)
        self.down, self.n3 = nn.Conv2d(8, 10, 1, 2, bias=False), nn.BatchNorm2d(10)
        self.b1, self.n4 = nn.Conv2d(10, 9, 3, 1, 1, bias=False), nn.BatchNorm2d(9)
        self.b2, self.n5 = nn.Conv2d(9, 10, 3, 1, 1, bias=False), nn.BatchNorm2d(10)
        self.head = nn.Linear(10, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn0(self.stem(x)))
        x = F.relu(self.n2(self.a2(F.relu(self.n1(self.a1(x))))) + self.n3(self.down(x)))
        x = F.relu(self.n5(self.b2(F.relu(self.n4(self.b1(x))))) + x)
        return self.head(x.mean((2, 3)))


class Depthwise(nn.Module):
    """Expand, depthwise, project; a squeeze-excite gate; ReLU6."""

    def __init__(self) -> None:
        super().__init__()
        self.expand, self.n1 = nn.Conv2d(3, 16, 1, bias=False), nn.BatchNorm2d(16)
        self.depth, self.n2 = nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False), nn.BatchNorm2d(16)
        self.squeeze, self.excite = nn.Linear(16, 4), nn.Linear(4, 16)
        self.project, self.n3 = nn.Conv2d(16, 6, 1, bias=False), nn.BatchNorm2d(6)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self.n2(self.depth(F.relu6(self.n1(self.expand(x))))))
        gate = torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean((2, 3))))))
        return self.head(self.n3(self.project(x * gate[:, :, None, None])).mean((2, 3)))


class Twice(nn.Module):
    """One layer called at two places, with other weights between."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.shared, self.head = nn.Linear(3, 12), nn.Linear(12, 12), nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x.mean((2, 3))))
        return self.head(F.relu(self.shared(F.relu(self.shared(x)))))


class Concat(nn.Module):
    """Several readers of one tensor, a concatenation, a grouped convolution, a flatten into a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.left, self.right = nn.Conv2d(8, 6, 1), nn.Conv2d(8, 6, 3, padding=1)
        self.grouped = nn.Conv2d(12, 8, 3, padding=1, groups=2)
        self.head = nn.Linear(8 * 16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        x = F.relu(torch.cat([self.left(x), self.right(x)], 1))
        return self.head(F.max_pool2d(F.relu(self.grouped(x)), 2).flatten(1))


class Tokens(nn.Module):
    """Linear layers over a sequence, with a layer norm and a residual."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.up, self.down, self.head = nn.LayerNorm(3), nn.Linear(3, 24), nn.Linear(24, 3), nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(2).transpose(1, 2)
        x = x + self.down(F.gelu(self.up(self.norm(x))))
        return self.head(x.mean(1))


MODELS = {m.__name__: m for m in (Residual, Depthwise, Twice, Concat, Tokens)}


def made(name: str, seed: int = 0) -> tuple[Network, ChannelMap]:
    torch.manual_seed(seed)
    model = MODELS[name]()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
    network = capture(model.eval(), (3, 8, 8))
    return network, analyse(network)


def some_cut(channels: ChannelMap, share: float = 0.3, seed: int = 0) -> np.ndarray:
    from modellego.cut import rescue

    random = np.random.default_rng(seed).random(channels.n_groups)
    return rescue(channels, random > share, random)[0]


def error(network: Network, small: Network, images: Tensor, task: list[int]) -> float:
    with torch.no_grad():
        wanted = network.graph(images)[:, task]
        return float(((small.graph(images) - wanted) ** 2).sum() / ((wanted - wanted.mean(0)) ** 2).sum())


IMAGES = torch.randn(120, 3, 8, 8, generator=torch.Generator().manual_seed(1))
FRESH = torch.randn(60, 3, 8, 8, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("name", MODELS)
def test_error_falls_on_fresh_images(name: str) -> None:
    network, channels = made(name)
    keep = some_cut(channels)
    plan = plan_cut(network, channels, keep, [0, 2])
    small = cut(plan)
    before = error(network, small, FRESH, [0, 2])
    report = refit(plan, small, IMAGES)
    assert error(network, small, FRESH, [0, 2]) < before
    assert not report.skipped


@pytest.mark.parametrize("name", MODELS)
def test_nothing_cut_nothing_changed(name: str) -> None:
    network, channels = made(name)
    plan = plan_cut(network, channels, channels.keep_all())
    small = cut(plan)
    refit(plan, small, IMAGES)
    with torch.no_grad():
        torch.testing.assert_close(small.graph(FRESH), network.graph(FRESH), atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("task", [[0, 1, 2], [3, 0]])
def test_a_copied_channel_is_made_up_for(task: list[int]) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(80, 4))
    model[0].weight.data[5], model[0].bias.data[5] = 2 * model[0].weight.data[4], 2 * model[0].bias.data[4]
    network = capture(model, (3, 8, 8))
    channels = analyse(network)
    keep = channels.keep_all()
    keep[channels.layer_out["0"][5]] = False
    plan = plan_cut(network, channels, keep, task)
    small = cut(plan)
    assert error(network, small, FRESH, task) > 1e-2
    refit(plan, small, IMAGES)
    assert error(network, small, FRESH, task) < 1e-5


def test_norms_hold_the_statistics_of_the_new_feature_maps() -> None:
    network, channels = made("Residual")
    keep = some_cut(channels)
    plan = plan_cut(network, channels, keep)
    small = cut(plan)
    refit(plan, small, IMAGES)
    with torch.no_grad():
        wanted = small.graph(IMAGES)
        small.graph.train()
        trained = small.graph(IMAGES)
    assert float((trained - wanted).abs().max()) < 0.02 * float(wanted.abs().max())


def test_mode_and_source_are_left_alone() -> None:
    network, channels = made("Residual")
    before = {k: v.clone() for k, v in network.graph.state_dict().items()}
    keep = some_cut(channels)
    plan = plan_cut(network, channels, keep)
    small = cut(plan)
    small.graph.train()
    refit(plan, small, IMAGES)
    assert small.graph.training
    assert not network.graph.training
    assert all(torch.equal(v, network.graph.state_dict()[k]) for k, v in before.items())


def test_every_layer_is_in_the_report_once() -> None:
    network, channels = made("Residual")
    keep = some_cut(channels)
    plan = plan_cut(network, channels, keep)
    report = refit(plan, cut(plan), IMAGES)
    layers = [layer for stage in report.stages for layer in stage.layers]
    assert sorted(layers) == ["a1", "a2", "b1", "b2", "down", "head", "stem"]
    assert ("a2", "down") in [s.layers for s in report.stages]
    assert all(s.after <= s.before + 1e-9 for s in report.stages)


def test_same_seed_same_weights() -> None:
    network, channels = made("Concat")
    keep = some_cut(channels)
    found = []
    for _ in range(2):
        plan = plan_cut(network, channels, keep)
        small = cut(plan)
        refit(plan, small, IMAGES, options=RefitOptions(rows=200))
        found.append(small.graph.state_dict())
    assert all(torch.equal(v, found[1][k]) for k, v in found[0].items())


def test_few_images_take_the_dual_form() -> None:
    network, channels = made("Concat")
    keep = some_cut(channels)
    plan = plan_cut(network, channels, keep)
    small = cut(plan)
    before = error(network, small, FRESH, [0, 1, 2, 3])
    report = refit(plan, small, IMAGES[:30])
    assert report.stages[-1].rows < report.stages[-1].features
    assert error(network, small, FRESH, [0, 1, 2, 3]) < before


def test_one_image_is_enough_to_run() -> None:
    network, channels = made("Residual")
    keep = some_cut(channels)
    plan = plan_cut(network, channels, keep)
    small = cut(plan)
    refit(plan, small, IMAGES[:1])
    with torch.no_grad():
        assert torch.isfinite(small.graph(FRESH)).all()


@pytest.mark.parametrize("kind", ["Residual", "Twice"])
def test_whatever_the_memory_all_images_are_used_with_the_same_result(kind: str) -> None:
    network, channels = made(kind)
    plan = plan_cut(network, channels, some_cut(channels))
    results = []
    for memory in (10**9, 100_000):
        small = cut(plan)
        report = refit(plan, small, IMAGES, options=RefitOptions(memory=memory, batch=10))
        assert report.images == len(IMAGES)
        results.append(small.graph(FRESH))
    torch.testing.assert_close(*results, atol=1e-4, rtol=1e-4)


def test_checkpoints_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    network, channels = made("Residual")
    plan = plan_cut(network, channels, some_cut(channels))
    results = []
    for chosen in (set[int](), set(range(99)), {1, 3}):
        monkeypatch.setattr("modellego.refit.stages.place_checkpoints", lambda walk, stages, chosen=chosen: chosen)
        refit(plan, small := cut(plan), IMAGES, options=RefitOptions(batch=20))
        results.append(small.graph(FRESH))
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_batches_serve_as_well() -> None:
    network, channels = made("Residual")
    keep = some_cut(channels)
    plan = plan_cut(network, channels, keep)
    report = refit(plan, cut(plan), [IMAGES[:50], IMAGES[50:]])
    assert report.images == len(IMAGES)


def test_progress_counts_stages() -> None:
    network, channels = made("Residual")
    keep = some_cut(channels)
    seen: list[tuple[int, int]] = []
    plan = plan_cut(network, channels, keep)
    report = refit(plan, cut(plan), IMAGES, update=lambda i, n: seen.append((i, n)))
    assert seen == [(i + 1, len(report.stages)) for i in range(len(report.stages))]


def test_wrong_shape_is_refused() -> None:
    network, channels = made("Residual")
    plan = plan_cut(network, channels, channels.keep_all())
    small = cut(plan)
    with pytest.raises(DataError, match=r"\[3, 8, 8\]"):
        refit(plan, small, IMAGES[:, :, :4])


def test_another_plan_is_refused() -> None:
    network, channels = made("Residual")
    plan = plan_cut(network, channels, some_cut(channels))
    small = cut(plan)
    with pytest.raises(LegoError, match="give refit the plan that was cut"):
        refit(plan_cut(network, channels, channels.keep_all()), small, IMAGES)


def test_dead_inputs_do_no_harm() -> None:
    network, channels = made("Residual")
    keep = some_cut(channels)
    plan = plan_cut(network, channels, keep)
    small = cut(plan)
    refit(plan, small, torch.zeros(20, 3, 8, 8))
    with torch.no_grad():
        assert torch.isfinite(small.graph(FRESH)).all()


def test_four_rows_a_feature_are_taken_of_all_layers_of_a_sum() -> None:
    """12 channels through nine offsets and 8 through one: 116 features, 464 rows, 10 of each of 50 images."""
    network, channels = made("Residual")
    plan = plan_cut(network, channels, channels.keep_all())
    report = refit(plan, cut(plan), IMAGES[:50], options=RefitOptions(rows=1))
    assert {s.layers: s.rows for s in report.stages}["a2", "down"] == 500


def test_a_shared_layers_later_calls_give_fewer_rows_than_its_first() -> None:
    class SharedConvolution(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.shared, self.head = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 6, 1), nn.Linear(6, 4)

        def forward(self, x: Tensor) -> Tensor:
            x = F.relu(self.shared(F.relu(self.shared(F.relu(self.first(x))))))
            return self.head(x.mean((2, 3)))

    network = capture(SharedConvolution(), (3, 8, 8))
    channels = analyse(network)
    plan = plan_cut(network, channels, channels.keep_all())
    report = refit(plan, cut(plan), IMAGES[:20], options=RefitOptions(rows=200))
    assert {s.layers: s.rows for s in report.stages}["shared",] == 20 * 10 + 20 * 5


def test_layers_whose_rows_are_thinned_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modellego.refit.fit.DUAL", 8)
    monkeypatch.setattr("modellego.refit.fit.WIDE", 9 * 20)
    network = capture(nn.Sequential(nn.Linear(4, 9), nn.ReLU(), nn.Linear(9, 2)), (4,))
    channels = analyse(network)
    plan = plan_cut(network, channels, channels.keep_all())
    report = refit(plan, cut(plan), torch.randn(60, 4))
    assert report.thinned == {"2": 3}
    assert [s.rows for s in report.stages] == [60, 20]
