"""The metadata of a model card as model hubs read them: a block of YAML in front of the text."""

from typing import Any

import yaml

from modellego.brick.model import AnyBrick
from modellego.brick.summary import summarise

UNKNOWN = "unknown"  # a licence that the hub knows by this name


def metadata(brick: AnyBrick, title: str) -> dict[str, Any]:
    """Return library, task, licence, sources on the hub and measured accuracies, under the hub's own keys.

    Sources of one licence give the brick theirs; sources of several give `other`, and the text lists them.
    """
    licences = {source.licence or UNKNOWN for source in brick.info.sources} or {UNKNOWN}
    found: dict[str, Any] = {
        "library_name": "modellego",
        "pipeline_tag": "image-classification",
        "license": next(iter(licences)) if len(licences) == 1 else "other",
        "tags": ["modellego", "brick", "image-classification"],
    }
    if len(licences) > 1:
        found["license_name"] = "licences-of-the-sources"
    origins = [source.origin or "" for source in brick.info.sources]
    bases = list(dict.fromkeys(origin.removeprefix("hf:") for origin in origins if origin.startswith("hf:")))
    if bases:
        found["base_model"] = bases
    scores = summarise(brick).scores
    measured = {name: scores[name] for name in ("accuracy", "balanced accuracy") if name in scores}
    if measured:
        metrics = [{"type": name.replace(" ", "_"), "name": name, "value": value} for name, value in measured.items()]
        task = {"type": "image-classification", "name": "image classification"}
        data = {"type": "imagefolder", "name": "test images of the brick's classes"}
        found["metrics"] = ["accuracy"]
        found["model-index"] = [{"name": title, "results": [{"task": task, "dataset": data, "metrics": metrics}]}]
    return found


def front_matter(brick: AnyBrick, title: str) -> str:
    """Return the block of YAML, between its lines of hyphens."""
    text = yaml.safe_dump(metadata(brick, title), sort_keys=False, allow_unicode=True, width=10_000)
    return f"---\n{text}---\n"
