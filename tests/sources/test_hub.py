"""Classifiers as the hub keeps them, saved and loaded by each library's own code; the network is closed."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from modellego.data import ImageSet
from modellego.disassembly import disassemble
from modellego.errors import SourceError
from modellego.locate import Budget
from modellego.preprocess import apply
from modellego.sources import load_source
from modellego.sources.hub import licence_in, preprocessing
from modellego.sources.opened import open_source
from modellego.sources.whole import whole_brick

NAMES = ("cat", "dog", "fox")
SMALL: dict[str, tuple[str, dict[str, Any]]] = {
    "ResNet": ("ResNetConfig", {"embedding_size": 8, "hidden_sizes": [8, 12], "depths": [1, 1], "layer_type": "basic"}),
    "ConvNeXt": ("ConvNextConfig", {"hidden_sizes": [8, 12, 16, 20], "depths": [1, 1, 1, 1]}),
    "RegNet": (
        "RegNetConfig",
        {"embedding_size": 8, "hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "groups_width": 4},
    ),
    "MobileNet": ("MobileNetV2Config", {"depth_multiplier": 0.1, "min_depth": 4, "finegrained_output": True}),
    "ViT": (
        "ViTConfig",
        {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
        | {"image_size": 32, "patch_size": 8},
    ),
}
CONVNEXT = {
    "image_processor_type": "ConvNextImageProcessor",
    "size": {"shortest_edge": 32},
    "crop_pct": 0.875,
    "resample": 3,
    "image_mean": [0.4, 0.5, 0.6],
    "image_std": [0.2, 0.25, 0.3],
}


def images() -> ImageSet:
    torch.manual_seed(1)
    return ImageSet.from_tensor(torch.rand(24, 3, 40, 32), torch.arange(24) % 3, NAMES)


def saved(kind: str, folder: Path, processor: dict[str, Any] | None = CONVNEXT) -> torch.nn.Module:
    """Write an untrained model as transformers does, and return it."""
    transformers = pytest.importorskip("transformers", reason="needs the extra hf")
    torch.manual_seed(0)
    name, options = SMALL[kind]
    numbers = {label: k for k, label in enumerate(NAMES)}
    config = getattr(transformers, name)(id2label=dict(enumerate(NAMES)), label2id=numbers, **options)
    model = transformers.AutoModelForImageClassification.from_config(config).eval()
    model.save_pretrained(folder)
    if processor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return model  # type: ignore[no-any-return]


@pytest.mark.usefixtures("torchvision")
@pytest.mark.parametrize("kind", SMALL)
def test_a_model_of_transformers_becomes_a_brick(kind: str, tmp_path: Path) -> None:
    model = saved(kind, tmp_path / "model")
    source = load_source(f"hf:{tmp_path / 'model'}")
    whole = whole_brick(source.model, source.preprocess, source.classes, source.name)
    shown = images().images()
    with torch.no_grad():
        wanted = model(pixel_values=apply(source.preprocess, shown)).logits
        torch.testing.assert_close(whole(shown), wanted, rtol=1e-4, atol=1e-5)
    brick = disassemble(whole, images(), "fox,cat", budget=Budget(macs=0.9), criterion="l1", refit_images=4)
    assert brick.classes == ("fox", "cat")
    assert (brick.info.scores["macs"] or 0) <= 0.9 * (brick.info.scores["macs_base"] or 0)


@pytest.mark.usefixtures("torchvision")
def test_all_comes_from_the_models_own_configuration(tmp_path: Path) -> None:
    saved("ResNet", tmp_path / "mine")
    source = load_source(f"hf:{tmp_path / 'mine'}")
    p = source.preprocess
    assert (p.height, p.width, p.resize, p.crop_share, p.interpolation) == (32, 32, "crop", 0.875, "bicubic")
    assert (p.mean, p.std) == ((0.4, 0.5, 0.6), (0.2, 0.25, 0.3))
    assert (source.classes, source.name, source.normalised) == (NAMES, "mine", True)


@pytest.mark.usefixtures("torchvision")
def test_without_an_image_processor_the_normalisation_is_not_known(tmp_path: Path) -> None:
    saved("ViT", tmp_path / "model", None)
    source = load_source(f"hf:{tmp_path / 'model'}")
    assert (source.preprocess.height, source.normalised) == (32, False)


@pytest.mark.usefixtures("torchvision")
def test_a_model_of_timm_is_read_from_its_folder(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm", reason="needs the extra timm")
    torch.manual_seed(0)
    model = timm.create_model("resnet10t", num_classes=3).eval()
    own = {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.2, 0.2), "crop_pct": 0.9, "input_size": (3, 64, 64)}
    config = {"pretrained_cfg": own | {"interpolation": "bicubic"}, "label_names": list(NAMES)}
    timm.models.save_for_hf(model, tmp_path / "mine", model_config=config)
    source = load_source(f"hf:{tmp_path / 'mine'}")
    p = source.preprocess
    assert (p.height, p.crop_share, p.interpolation, p.mean) == (64, 0.9, "bicubic", (0.4, 0.5, 0.6))
    assert source.classes == NAMES
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(source.model(x), model(x))


@pytest.mark.usefixtures("torchvision")
def test_licence_and_origin_come_from_timms_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timm = pytest.importorskip("timm", reason="needs the extra timm")
    own = {"license": "cc-by-nc-4.0", "hf_hub_id": "them/resnet10t", "input_size": (3, 64, 64)}
    create = timm.create_model

    def without_fetching(name: str, pretrained: bool, **options: Any) -> torch.nn.Module:
        assert pretrained
        model: torch.nn.Module = create(name, num_classes=3, **options)
        model.pretrained_cfg = own  # type: ignore[assignment]
        return model

    monkeypatch.setattr(timm, "create_model", without_fetching)
    found = open_source("timm:resnet10t", {})[0].info.sources[0]
    assert (found.licence, found.origin) == ("cc-by-nc-4.0", "hf:them/resnet10t")


@pytest.mark.usefixtures("torchvision")
@pytest.mark.parametrize(("weights", "licence"), [(None, "apache-2.0"), ("random", None)])
def test_the_licence_is_that_of_the_card_beside_the_weights(
    weights: str | None, licence: str | None, tmp_path: Path
) -> None:
    saved("ResNet", tmp_path / "mine")
    (tmp_path / "mine" / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Mine\n")
    assert load_source(f"hf:{tmp_path / 'mine'}", weights=weights).licence == licence


@pytest.mark.parametrize(
    "text", ["", "no metadata", "---\n- a list\n---\n", "---\nlicense: [a, b]\n---\n", "---\na: [\n---\n"]
)
def test_a_card_that_names_no_licence_gives_none(text: str, tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text(text)
    assert licence_in(card) is None


@pytest.mark.usefixtures("torchvision")
@pytest.mark.parametrize(("spec", "says"), [("timm:resnet18@nowhere", "nowhere"), ("torchvision:resnet18@V9", "V9")])
def test_a_tag_that_there_is_none_of_is_refused(spec: str, says: str) -> None:
    pytest.importorskip(spec.partition(":")[0])
    with pytest.raises(SourceError, match=says):
        load_source(spec)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ('{"architectures": ["BertModel"]}', "not an image classifier: its config names BertModel"),
        ("{}", "not an image classifier: its config names nothing"),
        ("[]", "not the config of a model"),
        ("{", "not the config of a model"),
        (None, "not the config of a model"),
    ],
)
def test_a_folder_without_a_classifier_is_refused(config: str | None, says: str, tmp_path: Path) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(SourceError, match=says):
        load_source(f"hf:{tmp_path}")


def test_what_is_no_hub_id_is_refused() -> None:
    with pytest.raises(SourceError, match="neither a folder nor a hub id"):
        load_source("hf:a/b/c d")


@pytest.mark.parametrize(
    ("processor", "wanted"),
    [
        ({"size": {"height": 24, "width": 20}}, ((24, 20), "squash", 1.0)),
        ({"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}}, ((224, 224), "crop", 0.875)),
        ({"size": 224}, ((224, 224), "crop", 1.0)),
        ({"size": {"shortest_edge": 384}, "crop_pct": 0.875}, ((384, 384), "squash", 1.0)),
        ({}, ((48, 48), "squash", 1.0)),
    ],
)
def test_an_image_processor_says_how_images_are_brought_to_size(
    processor: dict[str, Any], wanted: tuple[tuple[int, int], str, float]
) -> None:
    found = preprocessing(processor, (48, 48))
    assert (found["size"], found["resize"], found["crop_share"]) == wanted


def test_a_normalisation_that_is_off_or_done_twice_is_read_so() -> None:
    given = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    assert preprocessing(given | {"do_normalize": False}, (8, 8))["std"] == (1.0,)
    assert preprocessing(given | {"include_top": True}, (8, 8))["std"] == (0.25,) * 3
