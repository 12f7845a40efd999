"""What an exported file computes, and what it says about itself."""

import json
from typing import Any

import torch
from torch import Tensor, nn

from modellego.brick import Assembled, Brick
from modellego.brick.reject_rule import predict_reject
from modellego.errors import ExportError

OUTPUTS = ("logits", "none_of_these")


class Served(nn.Module):
    """A brick as it is served: its logits and, where it has a reject rule, which rows that rule turns away.

    With `prepared` the input is what the network reads (resized and normalised by whoever calls), else images in [0,1].
    """

    def __init__(self, model: Brick | Assembled, prepared: bool = False) -> None:
        super().__init__()
        self.rule = model.info.reject
        self.body: nn.Module = network_of(model) if prepared else model
        self.eval()

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Map `[B, c, h, w]` to logits `[B, C]`, and with a rule also to bool `[B]`."""
        logits: Tensor = self.body(images)
        return logits if self.rule is None else (logits, predict_reject(logits, self.rule))


def network_of(model: Brick | Assembled) -> nn.Module:
    """Return the bare network of a brick.

    Raises:
        ExportError: an assembled model, whose bricks prepare one image each in their own way.
    """
    if isinstance(model, Brick):
        return model.network
    raise ExportError(
        "an assembled model is exported with its preprocessing: each of its bricks prepares the image in its own way"
    )


def image_shape(model: Brick | Assembled, size: tuple[int, int] | None, prepared: bool) -> tuple[int, int, int]:
    """Return channels, height and width of the images that the file takes: `size`, or the largest input of a brick.

    Raises:
        ExportError: a size for prepared input, or a brick that reads no images.
    """
    bricks = [part for part in model.modules() if isinstance(part, Brick)]
    shapes = [b.info.input_shape for b in bricks if b.info.inputs == "image" and b.info.input_shape is not None]
    if len(shapes) != len(bricks) or any(len(shape) != 3 for shape in shapes):
        raise ExportError("only bricks that read images [channels, height, width] are exported")
    channels, height, width = max(shapes, key=lambda shape: shape[1] * shape[2])
    channels = max(shape[0] for shape in shapes)
    if size is None:
        return channels, height, width
    if prepared:
        raise ExportError("prepared input has the network's own size: leave the image size out")
    if min(size) < 1:
        raise ExportError(
            f"images of {size[0]}x{size[1]} pixels are not possible: give a height and width of 1 or more"
        )
    return channels, *size


def metadata(model: Brick | Assembled, prepared: bool) -> dict[str, str]:
    """Return what the file says about itself, as text: classes, input, reject rule, sources.

    >>> from modellego.preprocess import Preprocess
    >>> from modellego.sources.whole import whole_brick
    >>> brick = whole_brick(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), Preprocess(1, 8, 8), ["cat", "dog"])
    >>> metadata(brick, prepared=False)["classes"]
    '["cat", "dog"]'
    """
    takes: Any = "float32 images in [0,1], [batch, channels, height, width]; preprocessing is inside"
    if prepared:
        takes = "what the network reads, [batch, channels, height, width]: resize and normalise as `preprocess` says"
    found: dict[str, Any] = {"classes": list(model.classes), "input": takes, "outputs": list(OUTPUTS[:1])}
    if isinstance(model, Brick) and model.info.preprocess is not None:
        found["preprocess"] = vars(model.info.preprocess)
    if model.info.reject is not None:
        found["outputs"] = list(OUTPUTS)
        found["reject"] = model.info.reject.model_dump()
    found["sources"] = [source.name for source in model.info.sources]
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in found.items()}


def as_tuple(outputs: Tensor | tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """Return outputs of `Served` as a tuple, whether or not there is a rule."""
    return outputs if isinstance(outputs, tuple) else (outputs,)


def example(shape: tuple[int, int, int], batch: int = 2, seed: int = 0) -> Tensor:
    """Return seeded images in [0,1], float32 `[batch, *shape]`, to trace and to check with where none are given."""
    return torch.rand(batch, *shape, generator=torch.Generator().manual_seed(seed))
