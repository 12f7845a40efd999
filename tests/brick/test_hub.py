"""Bricks on a hub, through `huggingface_hub` itself, against a hub on this machine (no test reaches the real one)."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from modellego.brick import Assembled, Brick, load
from modellego.errors import FormatError, HubError
from tests.brick.hub_server import Hub, serving

huggingface_hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed (extra hub)")
from huggingface_hub import constants  # noqa: E402

KNOWN = {"licences": {"resnet": "apache-2.0"}, "origins": {"resnet": "hf:timm/resnet18.a1_in1k"}}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with serving() as server:
        files = f"{server.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        yield server


def test_a_brick_goes_to_the_hub_and_comes_back(
    hub: Hub, full_brick: Brick, images: torch.Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = full_brick.push_to_hub("me/pets", token="hf_test", **KNOWN)
    assert address == f"{hub.address}/me/pets"
    assert set(hub.files["me/pets"]) == {"brick.json", "model.safetensors", "README.md"}
    monkeypatch.chdir(tmp_path)
    for name in ("hf:me/pets", "me/pets", "hf:me/pets@main"):
        back = load(name)
        assert torch.equal(back(images), full_brick(images))
        assert (back.name, back.info) == ("pets", full_brick.info)


def test_the_card_is_valid_for_the_hub(hub: Hub, full_brick: Brick, tmp_path: Path) -> None:
    full_brick.push_to_hub("me/pets", token="hf_test", **KNOWN)
    (tmp_path / "README.md").write_bytes(hub.files["me/pets"]["README.md"])
    found = huggingface_hub.metadata_load(tmp_path / "README.md")
    assert found["library_name"] == "modellego"
    assert found["pipeline_tag"] == "image-classification"
    assert found["license"] == "apache-2.0"
    assert found["base_model"] == ["timm/resnet18.a1_in1k"]
    card = huggingface_hub.ModelCard.load(tmp_path / "README.md")
    (accuracy,) = card.data.eval_results
    assert (accuracy.task_type, accuracy.metric_type, accuracy.metric_value) == (
        "image-classification",
        "accuracy",
        0.9375,
    )
    assert huggingface_hub.ModelCardData(**found).to_dict()["license"] == "apache-2.0"
    assert any(asked == "POST /api/validate-yaml" for asked in hub.asked)


def test_what_nobody_said_of_a_source_is_asked_for(hub: Hub, full_brick: Brick) -> None:
    with pytest.raises(HubError, match="under which licence are the weights of 'resnet'"):
        full_brick.push_to_hub("me/pets")
    with pytest.raises(HubError, match="where do the weights of 'resnet' come from"):
        full_brick.push_to_hub("me/pets", licences={"resnet": "mit"})
    with pytest.raises(HubError, match="no source 'vgg'"):
        full_brick.push_to_hub("me/pets", licences={"vgg": "mit"})
    assert hub.asked == []


def test_sources_of_several_licences_are_all_named(hub: Hub, nested: Assembled, full_brick: Brick) -> None:
    (own,) = full_brick.info.sources
    two = [own.model_copy(update={"name": name}) for name in ("one", "two")]
    nested.info = nested.info.changed(sources=tuple(two))
    nested.push_to_hub(
        "me/both", token="hf_test", licences={"one": "mit", "two": "cc-by-4.0"}, origins={"one": "us", "two": "them"}
    )
    card = hub.files["me/both"]["README.md"].decode()
    assert "\nlicense: other\n" in card
    assert "\nlicense_name: licences-of-the-sources\n" in card
    assert "| mit | us |" in card
    assert "| cc-by-4.0 | them |" in card


@pytest.mark.parametrize("name", ["hf:me/nothing", "me/nothing"])
def test_what_the_hub_does_not_have_is_one_sentence(
    hub: Hub, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HubError) as refused:
        load(name)
    assert "the brick me/nothing cannot be fetched from the hub: " in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["here/nothing", "me/nothing.brick", "nothing"])
def test_a_slip_in_a_path_asks_no_hub(hub: Hub, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    with pytest.raises(FormatError, match="there is no brick at"):
        load(name)
    assert hub.asked == []


def test_a_strangers_brick_is_checked_as_any_other(
    hub: Hub, full_brick: Brick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_brick.push_to_hub("me/pets", token="hf_test", **KNOWN)
    hub.files["me/pets"]["brick.json"] = hub.files["me/pets"]["brick.json"].replace(b"aten.relu", b"aten.rm_rf")
    with pytest.raises(FormatError):
        load("hf:me/pets")


def test_a_command_takes_a_name_on_the_hub(hub: Hub, make_brick: Callable[..., Brick], tmp_path: Path) -> None:
    make_brick().push_to_hub("me/pets", token="hf_test")
    environment = {**os.environ, "HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-m", "modellego", "recipe", "hf:me/pets"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.stderr == "error: pets was not made by a recipe\n"
