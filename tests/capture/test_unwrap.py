"""Wrapped models are captured as what they wrap."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from modellego.capture import capture
from modellego.errors import CaptureError


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)).eval()


@pytest.mark.parametrize(
    "wrap",
    [nn.DataParallel, torch.compile, lambda model: nn.DataParallel(torch.compile(model))],
    ids=["parallel", "compiled", "both"],
)
def test_a_wrapped_model_is_captured_under_its_own_names(wrap: Callable[[nn.Module], nn.Module]) -> None:
    model = net()
    network = capture(wrap(model), (1, 4, 4))
    assert {name for name, _ in network.graph.named_parameters()} == {name for name, _ in model.named_parameters()}
    images = torch.rand(3, 1, 4, 4)
    torch.testing.assert_close(network.graph(images), model(images))


@pytest.mark.filterwarnings("ignore")
def test_a_torchscript_module_is_told_what_it_is() -> None:
    with pytest.raises(CaptureError, match=r"a TorchScript module cannot be captured: .* state_dict\(\)"):
        capture(torch.jit.trace(net(), torch.zeros(1, 1, 4, 4)), (1, 4, 4))
