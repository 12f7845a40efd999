"""Image classifiers as the hub keeps them: transformers' and timm's, from a hub id or a folder of the same files."""

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor, nn

from modellego.errors import MissingExtraError, SourceError
from modellego.sources.libraries import broken, imported
from modellego.sources.makers import UNTRAINED, Found, Wishes, timm_found
from modellego.sources.weights import fill, read_weights, reason_of

_RESAMPLINGS = {2: "bilinear", 3: "bicubic"}  # PIL's numbers, which image processors keep


class Logits(nn.Module):
    """A classifier of transformers, `pixel_values` to an output object, as a network from images to logits.

    `flipped` says that it reads blue, green, red.
    """

    def __init__(self, model: nn.Module, flipped: bool = False) -> None:
        super().__init__()
        self.model, self.flipped = model, flipped

    def forward(self, images: Tensor) -> Tensor:
        """Map images `[B, 3, h, w]` to logits `[B, C]`."""
        logits: Tensor = self.model(pixel_values=images.flip(1) if self.flipped else images).logits
        return logits


def from_hub(name: str, wishes: Wishes) -> Found:
    """Build a classifier from its config on the hub (`owner/name`) or in a folder, with its weights and class names."""
    folder = Path(name).expanduser()
    config = _read_config(name, folder)
    if "architecture" in config:
        found = timm_found(f"local-dir:{folder}" if folder.is_dir() else f"hf-hub:{name}", wishes)
        licence, origin = _provenance(name, folder, wishes, found.licence)
        return replace(found, licence=licence, origin=origin)
    if not any("ImageClassification" in str(a) for a in config.get("architectures") or ()):
        made_for = ", ".join(map(str, config.get("architectures") or ())) or "nothing that is named"
        raise SourceError(f"hf:{name} is not an image classifier: its config names {made_for}")
    transformers = imported("transformers", "hf")
    where = str(folder) if folder.is_dir() else name
    try:
        processor = _processor(transformers, where)
        model = _model(transformers, where, wishes)
    except (SourceError, MissingExtraError):
        raise
    except ImportError as error:  # what it imports when a model is asked for
        raise SourceError(broken("transformers", error)) from error
    except Exception as error:  # network errors, broken files
        raise SourceError(f"hf:{name} cannot be loaded ({reason_of(error)})") from error
    own = config.get("image_size") or 224
    size = tuple(own) if isinstance(own, list) else (int(own), int(own))
    channels = int(config.get("num_channels", 3))
    seen = preprocessing(processor or {}, (size[0], size[-1]), channels)
    licence, origin = _provenance(name, folder, wishes)
    flipped = bool(processor and processor.get("do_flip_channel_order"))
    return Found(
        Logits(model, flipped),
        channels,
        wishes.size or seen["size"],
        seen["mean"],
        seen["std"],
        seen["resize"],
        class_names(config, model) if wishes.num_classes is None else None,
        seen["crop_share"],
        seen["interpolation"],
        normalised=processor is not None,
        licence=licence,
        origin=origin,
    )


def preprocessing(processor: Mapping[str, Any], size: tuple[int, int], channels: int = 3) -> dict[str, Any]:
    """Read an image processor's config: size, mean, std, how images are resized, what share is cropped, by what.

    `size` is the network's own, where the config names none.

    >>> preprocessing({"size": 256, "crop_size": 224}, (8, 8))["crop_share"]
    0.875
    """
    given = processor.get("size") or {}
    given = {"shortest_edge": given} if isinstance(given, int) else given
    crop = processor.get("crop_size") or {}
    crop = {"height": crop, "width": crop} if isinstance(crop, int) else crop
    resize, share = "squash", 1.0
    if "height" in given:
        size = (int(given["height"]), int(given["width"]))
    elif "shortest_edge" in given:
        edge, resize = int(given["shortest_edge"]), "crop"
        size = (edge, edge)
        if processor.get("crop_pct") is not None and not crop:  # ConvNeXt's: larger inputs are squashed whole
            share, resize = (float(processor["crop_pct"]), "crop") if edge < 384 else (1.0, "squash")
    if crop and processor.get("do_center_crop", True) and "height" in crop:
        edge = min(size)
        size, resize = (int(crop["height"]), int(crop["width"])), "crop"
        share = min(1.0, min(size) / edge)
    mean, std = (0.0,), (1.0,)
    if processor.get("do_normalize", True) and processor.get("image_mean") is not None:
        mean, std = (tuple(float(v) for v in processor[key]) for key in ("image_mean", "image_std"))  # type: ignore[assignment]
        if processor.get("include_top"):  # EfficientNet's: divided by the deviations once more
            std = tuple(s * s for s in std)  # type: ignore[assignment]
    if len(mean) not in {1, channels}:
        raise SourceError(f"the image processor has {len(mean)} means for {channels} channels")
    interpolation = _RESAMPLINGS.get(int(processor.get("resample") or 2), "bilinear")
    return {
        "size": size,
        "mean": mean,
        "std": std,
        "resize": resize,
        "crop_share": share,
        "interpolation": interpolation,
    }


def class_names(config: Mapping[str, Any], model: nn.Module) -> tuple[str, ...] | None:
    """Return the names in a config's `id2label`, in the order of the logits; None where they say nothing (LABEL_0)."""
    labels = {int(k): str(v) for k, v in (config.get("id2label") or {}).items()}
    count = int(getattr(getattr(model, "config", None), "num_labels", len(labels)))
    names = tuple(labels.get(k, "") for k in range(count))
    return None if not all(names) or all(re.fullmatch(r"LABEL_\d+", n) for n in names) else names


def _model(transformers: Any, where: str, wishes: Wishes) -> nn.Module:
    auto = transformers.AutoModelForImageClassification
    count = {} if wishes.num_classes is None else {"num_labels": wishes.num_classes}
    if wishes.weights is None:
        found: nn.Module = auto.from_pretrained(where, trust_remote_code=False)
        return found
    config = transformers.AutoConfig.from_pretrained(where, trust_remote_code=False, **count)
    made: nn.Module = auto.from_config(config, trust_remote_code=False)
    if wishes.weights != UNTRAINED:
        fill(made, read_weights(wishes.weights), wishes.weights, f"hf:{where}")
    return made


def _processor(transformers: Any, where: str) -> Mapping[str, Any] | None:
    """Return the config of the image processor, None where there is none."""
    mixin = imported("transformers.image_processing_base", "hf").ImageProcessingMixin
    try:
        found: Mapping[str, Any] = mixin.get_image_processor_dict(where)[0]
    except OSError:
        return None
    return found


def _read_config(name: str, folder: Path) -> Mapping[str, Any]:
    if folder.is_dir():
        file = folder / "config.json"
    elif not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name):
        raise SourceError(f"hf:{name} is neither a folder nor a hub id such as hf:microsoft/resnet-18")
    else:
        hub = imported("huggingface_hub", "hf")
        try:
            file = Path(hub.hf_hub_download(name, "config.json"))
        except Exception as error:  # network errors of every kind
            raise SourceError(
                f"hf:{name} cannot be fetched ({reason_of(error)}): name a folder that holds it"
            ) from error
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(f"{file} is not the config of a model ({reason_of(error)})") from error
    if not isinstance(found, dict):
        raise SourceError(f"{file} is not the config of a model")
    return found


def _provenance(name: str, folder: Path, wishes: Wishes, licence: str | None = None) -> tuple[str | None, str | None]:
    """Return licence and origin of the weights that lie beside the config; the licence stands in the model's card."""
    if wishes.weights is not None:
        return None, None
    card = folder / "README.md"
    if not folder.is_dir():
        with contextlib.suppress(Exception):  # there is no card, or no network
            card = Path(imported("huggingface_hub", "hf").hf_hub_download(name, "README.md"))
    return licence or licence_in(card), None if folder.is_dir() else f"hf:{name}"


def licence_in(card: Path) -> str | None:
    """Return the licence that the metadata of a model's card name, None where there is no such thing.

    >>> licence_in(Path("nowhere/README.md")) is None
    True
    """
    try:
        parts = re.split(r"^---\s*$", card.read_text(encoding="utf-8"), maxsplit=2, flags=re.MULTILINE)
        found = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0].strip() else None
    except (OSError, ValueError, yaml.YAMLError):
        return None
    licence = found.get("license") if isinstance(found, dict) else None
    return licence if isinstance(licence, str) and re.fullmatch(r"[\w.+-]{1,100}", licence) else None


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Tell equal class names apart by their index: ImageNet has two cranes.

    >>> distinct(["crane", "dog", "crane"])
    ('crane (0)', 'dog', 'crane (2)')
    """
    return tuple(name if list(names).count(name) == 1 else f"{name} ({k})" for k, name in enumerate(names))
