"""Saving and loading: the same brick comes back, to the bit, and can be trained."""

import copy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import fx, nn

from modellego import zoo
from modellego.brick import Assembled, Brick, BrickInfo, Joint, assembled_info, is_brick, load, save
from modellego.brick.format.folder import exchange
from modellego.capture import capture
from modellego.errors import FormatError
from modellego.preprocess import Preprocess

MakeBrick = Callable[..., Brick]
FILES = ["README.md", "brick.json", "model.safetensors"]
DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_loaded_brick_gives_the_same_logits(
    make_brick: MakeBrick, images: torch.Tensor, tmp_path: Path, dtype: torch.dtype
) -> None:
    brick = make_brick(dtype=dtype)
    again = load(save(brick, tmp_path / "a"))
    assert torch.equal(again(images), brick(images))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_state_keeps_names_dtypes_and_values(make_brick: MakeBrick, tmp_path: Path, dtype: torch.dtype) -> None:
    brick = make_brick(dtype=dtype)
    expected, state = brick.state_dict(), load(save(brick, tmp_path / "a")).state_dict()
    assert set(state) == set(expected)
    for name, tensor in expected.items():
        assert (state[name].dtype, state[name].tolist()) == (tensor.dtype, tensor.tolist())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", ["lenet5", "vgg16_bn", "resnet20", "resnet50", "googlenet"])
def test_captured_networks_come_back(tmp_path: Path, name: str, dtype: torch.dtype) -> None:
    if name in ("resnet50", "googlenet") and dtype == torch.float64:
        pytest.skip("float32 covers what is particular to this network")
    model = zoo.build(name, 4, width=0.125).to(dtype)
    info = BrickInfo(classes=tuple("abcd"), input_shape=(3, 32, 32), preprocess=Preprocess(3, 32, 32))
    brick = Brick(capture(model, (3, 32, 32)).graph, info)
    images = torch.rand(2, 3, 32, 32, dtype=dtype)
    assert torch.equal(load(save(brick, tmp_path / "a"))(images), brick(images))


def test_the_info_comes_back(full_brick: Brick, tmp_path: Path) -> None:
    assert load(full_brick.save(tmp_path / "a")).info == full_brick.info


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_nested_assembled_brick_gives_the_same_logits(
    nested: Assembled, images: torch.Tensor, tmp_path: Path, dtype: torch.dtype
) -> None:
    nested = nested.to(dtype)
    again = load(nested.save(tmp_path / "a"))
    assert isinstance(again, Assembled)
    assert again.classes == ("cat", "dog", "car", "cup")
    assert torch.equal(again(images), nested(images))


def test_one_brick_used_twice_stays_one(make_brick: MakeBrick, tmp_path: Path) -> None:
    brick = make_brick(("cat",))
    again = load(
        save(
            Assembled([brick, brick], Joint(merge=[[0, 1]]), assembled_info([brick], ("cat",))),
            tmp_path / "a",
        )
    )
    assert len(list(again.parameters())) == len(list(brick.parameters()))


def _tied() -> Brick:
    root, graph = nn.Module(), fx.Graph()
    root.add_module("a", nn.Linear(4, 4))
    root.add_module("b", nn.Linear(4, 4))
    root.get_submodule("b").weight = root.get_submodule("a").weight  # type: ignore[assignment]
    x = graph.placeholder("x")
    graph.output(graph.call_module("b", (graph.call_module("a", (x,)),)))
    info = BrickInfo(classes=tuple("abcd"), input_shape=(4,))
    return Brick(fx.GraphModule(root, graph), info)


def test_tied_parameters_stay_tied(tmp_path: Path) -> None:
    again = load(save(_tied(), tmp_path / "a"))
    assert again.network.a.weight is again.network.b.weight
    assert again.network.a.bias is not again.network.b.bias


def test_a_joint_that_shares_a_parameter_with_its_brick_still_does(make_brick: MakeBrick, tmp_path: Path) -> None:
    brick = make_brick()
    joint = Joint(linear=nn.Linear(3, 3))
    assert joint.linear is not None
    joint.linear.bias = brick.network.get_submodule("head").bias
    again = load(save(Assembled([brick], joint, assembled_info([brick], ("a", "b", "c"))), tmp_path / "a"))
    assert again.joint.linear.bias is again.bricks[0].network.get_submodule("head").bias


def test_a_wide_joint_is_read_back(make_brick: MakeBrick, images: torch.Tensor, tmp_path: Path) -> None:
    brick = make_brick(outputs="features", columns=300)
    both = Assembled([brick], Joint(linear=nn.Linear(300, 3)), assembled_info([brick], ("a", "b", "c"))).eval()
    assert torch.equal(load(save(both, tmp_path / "a"))(images), both(images))


def test_what_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    """A layer of 64 maps of 4096 x 4096 positions takes 4 GiB, which its few weights do not justify."""
    layers = nn.Sequential(nn.Conv2d(1, 64, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 2))
    network = capture(layers, (1, 8, 8))
    brick = Brick(network.graph, BrickInfo(classes=("a", "b"), input_shape=(1, 4096, 4096)))
    with pytest.raises(FormatError, match="MiB per image"):
        save(brick, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux exchanges two names in one step")
def test_directories_under_relative_paths_areexchanged_in_one_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        Path(name).mkdir()
    Path("a/inside").touch()
    assert exchange(Path("a"), Path("b"))
    assert Path("b/inside").exists()


def test_tied_parameters_are_written_once(tmp_path: Path) -> None:
    from safetensors import safe_open

    with safe_open(save(_tied(), tmp_path / "a") / "model.safetensors", "pt") as file:
        assert sorted(file.keys()) == ["a.bias", "a.weight", "b.bias"]


def test_views_of_one_memory_that_differ_are_written_apart(tmp_path: Path) -> None:
    brick = _tied()
    brick.network.b.weight = nn.Parameter(brick.network.a.weight.data.t())
    again = load(save(brick, tmp_path / "a"))
    assert torch.equal(again.network.b.weight, brick.network.a.weight.t())
    assert again.network.b.weight is not again.network.a.weight


def test_bricks_load_in_eval_mode(make_brick: MakeBrick, tmp_path: Path) -> None:
    again = load(save(make_brick().train(), tmp_path / "a"))
    assert not any(module.training for module in again.modules())


def test_a_loaded_brick_learns(make_brick: MakeBrick, images: torch.Tensor, tmp_path: Path) -> None:
    brick = load(save(make_brick(), tmp_path / "a")).train()
    optimizer = torch.optim.SGD(brick.parameters(), lr=0.1)
    before = copy.deepcopy(brick.state_dict())
    nn.functional.cross_entropy(brick(images), torch.tensor([0, 1, 2, 0])).backward()
    assert all(p.grad is not None for p in brick.parameters())
    optimizer.step()
    same = [name for name, tensor in brick.state_dict().items() if torch.equal(tensor, before[name])]
    assert same == ["network.offset"]  # the one buffer that no layer updates


def test_training_a_loaded_brick_is_training_the_brick(
    make_brick: MakeBrick, images: torch.Tensor, tmp_path: Path
) -> None:
    brick = make_brick(dtype=torch.float64)
    again = load(save(brick, tmp_path / "a"))
    grads = []
    for b in (brick, again):
        torch.manual_seed(0)
        b.train()(images).square().sum().backward()
        grads.append({k: p.grad for k, p in b.named_parameters()})
    assert all(torch.equal(grads[0][k], grads[1][k]) for k in grads[0])


def test_a_loaded_brick_can_be_saved_again_to_the_same_bytes(nested: Assembled, tmp_path: Path) -> None:
    save(nested, tmp_path / "a")
    save(load(tmp_path / "a"), tmp_path / "b")
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_same_brick_gives_the_same_bytes(make_brick: MakeBrick, tmp_path: Path) -> None:
    for name in "ab":
        make_brick().save(tmp_path / name)
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_brick_is_three_files(full_brick: Brick, tmp_path: Path) -> None:
    assert sorted(p.name for p in save(full_brick, tmp_path / "a").iterdir()) == FILES


def test_saving_leaves_the_brick_as_it_was(make_brick: MakeBrick, images: torch.Tensor, tmp_path: Path) -> None:
    brick = make_brick().train()
    state = copy.deepcopy(brick.state_dict())
    save(brick, tmp_path / "a")
    assert all(module.training for module in brick.network.norm.modules())
    assert all(torch.equal(v, state[k]) for k, v in brick.state_dict().items())


def test_a_frozen_parameter_wants_gradients_again_after_loading(make_brick: MakeBrick, tmp_path: Path) -> None:
    again = load(save(make_brick().requires_grad_(False), tmp_path / "a"))
    assert all(p.requires_grad for p in again.parameters())


def test_a_deep_copy_saves_alike(nested: Assembled, tmp_path: Path) -> None:
    save(nested, tmp_path / "a")
    save(copy.deepcopy(nested), tmp_path / "b")
    assert (tmp_path / "a" / "brick.json").read_bytes() == (tmp_path / "b" / "brick.json").read_bytes()


def test_a_brick_with_an_op_of_no_list_is_refused_and_nothing_written(tmp_path: Path) -> None:
    brick = _tied()
    output = next(reversed(brick.network.graph.nodes))
    with brick.network.graph.inserting_before(output):
        output.args = (brick.network.graph.call_function(torch.relu, output.args),)
    with pytest.raises(FormatError, match="closed list"):
        save(brick, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_is_brick_knows_bricks(make_brick: MakeBrick, tmp_path: Path) -> None:
    assert is_brick(save(make_brick(), tmp_path / "a"))
    assert not is_brick(tmp_path)
    assert not is_brick(tmp_path / "a" / "brick.json")


def test_a_brick_without_weights_loads(tmp_path: Path) -> None:
    graph = fx.Graph()
    graph.output(graph.placeholder("x"))
    brick = Brick(fx.GraphModule(nn.Module(), graph), BrickInfo(classes=("a", "b"), input_shape=(2,)))
    assert torch.equal(load(save(brick, tmp_path / "a"))(torch.ones(1, 2)), torch.ones(1, 2))
