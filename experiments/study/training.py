"""Training a source from nothing, epoch by epoch, so that a stopped training goes on where it was.

A folder gets NAME.pt (the checkpoint of the last epoch), NAME.safetensors (the weights, once all epochs are done) and
NAME.json (the recipe, loss and accuracy of each epoch, the weights' SHA-256). The learning rate follows one cycle
(Smith and Topin 2018), so that ten to fifteen epochs are enough. The last epoch's weights are taken, whatever the
test accuracy: the test images choose nothing.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from experiments.study.sources import PREPROCESS
from modellego import zoo
from modellego.brick import Brick
from modellego.data import Data, ImageSet
from modellego.errors import DataError, LegoError
from modellego.sources.whole import whole_brick
from modellego.training.augment import Augment, augmented

DIGITS = ("mnist", "fashion-mnist")  # not mirrored, and smaller
# what is faster depends on network and machine: without bfloat16 in hardware float32 is, and for VGG-16 contiguous maps
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


@dataclass(frozen=True)
class Recipe:
    """All that the weights follow from: SGD with Nesterov momentum, one cycle, mirrored and shifted images.

    Mirrored except digits and clothes of one colour, which are shifted by up to 2 pixels, not 4.
    """

    network: str
    dataset: str
    width: float
    epochs: int
    learning_rate: float
    batch_size: int
    weight_decay: float
    label_smoothing: float
    precision: str
    memory_format: str
    seed: int

    @property
    def name(self) -> str:
        """What the files are called."""
        return f"{self.dataset}-{self.network}-w{self.width:g}-e{self.epochs}-s{self.seed}"


def in_memory(images: ImageSet) -> tuple[Tensor, Tensor]:
    """Decode a data set once: uint8 `[N, c, h, w]`, labels int64 `[N]`."""
    pixels = torch.stack([torch.tensor(images.read(i)).permute(2, 0, 1) for i in range(len(images))])
    return pixels.contiguous(), torch.from_numpy(images.labels)


def normalised(pixels: Tensor, recipe: Recipe) -> Tensor:
    """Return float32 network input `[B, c, h, w]` from uint8 pixels."""
    norm = PREPROCESS[recipe.dataset]
    mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (norm.mean, norm.std))
    return ((pixels.float() / 255 - mean) / std).contiguous(memory_format=FORMATS[recipe.memory_format])


def autocast(precision: str) -> contextlib.AbstractContextManager[Any]:
    """Return the context that forward passes run in."""
    if precision == "bfloat16":
        return torch.autocast("cpu", torch.bfloat16)
    return contextlib.nullcontext()


def epoch(
    model: nn.Module, images: Tensor, labels: Tensor, recipe: Recipe, state: dict[str, Any], number: int
) -> tuple[float, float]:
    """Train one epoch, in place; return the mean loss and the train accuracy.

    The order of the images follows from the seed and the epoch's number.
    """
    generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + number)
    torch.manual_seed(recipe.seed * 1_000_003 + number)  # dropout
    order = torch.randperm(len(images), generator=generator)
    size = min(recipe.batch_size, len(images))
    augment = Augment(flip=False, shift=2) if recipe.dataset in DIGITS else Augment()
    model.train()
    loss_sum, right, seen = 0.0, 0, 0
    for chosen in torch.split(order, size):
        if len(chosen) < size:
            break
        batch = normalised(augmented(images[chosen], augment, generator), recipe)
        with autocast(recipe.precision):
            logits = model(batch).float()
            loss = F.cross_entropy(logits, labels[chosen], label_smoothing=recipe.label_smoothing)
        state["optimizer"].zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        state["optimizer"].step()
        state["schedule"].step()
        loss_sum += float(loss.detach()) * len(chosen)
        right += int((logits.argmax(1) == labels[chosen]).sum())
        seen += len(chosen)
    return loss_sum / seen, right / seen


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor, recipe: Recipe) -> float:
    """Return the share of test images that are right, in float32."""
    model.eval()
    parts = zip(torch.split(images, 500), torch.split(labels, 500), strict=True)
    hits = [model(normalised(batch, recipe)).argmax(1) == true for batch, true in parts]
    return int(torch.cat(hits).sum()) / len(labels)


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint, whole or not at all."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    os.replace(part, path)


def train(
    recipe: Recipe, data: Data, out: Path, command: str = "", say: Callable[[str], None] = print
) -> dict[str, Any]:
    """Train to the end of the recipe, going on from a checkpoint in `out`; return what NAME.json holds.

    Raises:
        LegoError: the zoo has no such network, or the checkpoint there is of another recipe.
    """
    assert data.test is not None
    norm = PREPROCESS[recipe.dataset]
    images, labels = in_memory(data.train)
    test_images, test_labels = in_memory(data.test)
    torch.manual_seed(recipe.seed)
    model = zoo.build(recipe.network, len(data.classes), norm.channels, norm.height, recipe.width)
    model = model.to(memory_format=FORMATS[recipe.memory_format])  # type: ignore[call-overload]
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=0.9, nesterov=True)
    steps = recipe.epochs * max(1, len(images) // recipe.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        recipe.learning_rate,
        5 if steps == 4 else steps,  # PyTorch divides by zero where the rise is a single step
        pct_start=0.25,
        cycle_momentum=False,
        div_factor=10,
        final_div_factor=1e3,
    )
    state: dict[str, Any] = {"optimizer": optimizer, "schedule": schedule}
    log: list[dict[str, float]] = []
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / f"{recipe.name}.pt"
    if checkpoint.is_file():
        found = torch.load(checkpoint, weights_only=True)
        if found["recipe"] != asdict(recipe):
            raise LegoError(f"{checkpoint} is of another recipe: move it away")
        model.load_state_dict(found["model"])
        optimizer.load_state_dict(found["optimizer"])
        schedule.load_state_dict(found["schedule"])
        log = found["log"]
    document: dict[str, Any] = {"command": command, "recipe": asdict(recipe), "train_images": len(images)}
    for number in range(len(log) + 1, recipe.epochs + 1):
        start, cpu = time.perf_counter(), time.process_time()
        loss, train_accuracy = epoch(model, images, labels, recipe, state, number)
        log.append(
            {
                "epoch": number,
                "loss": round(loss, 5),
                "train_accuracy": round(train_accuracy, 5),
                "test_accuracy": accuracy(model, test_images, test_labels, recipe),
                "seconds": round(time.perf_counter() - start, 1),
                "cpu_seconds": round(time.process_time() - cpu, 1),
            }
        )
        say(f"{recipe.name} {json.dumps(log[-1])}")
        states = {k: v.state_dict() for k, v in state.items()}
        save(checkpoint, {"recipe": asdict(recipe), "model": model.state_dict(), "log": log, **states})
        document["epochs"] = log
        (out / f"{recipe.name}.json").write_text(json.dumps(document, indent=1) + "\n")
    weights = out / f"{recipe.name}.safetensors"
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, weights)
    document |= {"epochs": log, "sha256": hashlib.sha256(weights.read_bytes()).hexdigest()}
    document["versions"] = {"torch": torch.__version__, "threads": torch.get_num_threads()}
    (out / f"{recipe.name}.json").write_text(json.dumps(document, indent=1) + "\n")
    return document


def short(network: str, dataset: str, epochs: int, seed: int) -> Recipe:
    """Return the recipe of a small source that an experiment trains for itself."""
    return Recipe(network, dataset, 1.0, epochs, 0.05, 128, 5e-4, 0.0, "float32", "contiguous", seed)


def place(folder: Path, limit: int | None) -> Path:
    """Return where sources lie that were trained on all images, or on some: these have the same names."""
    return folder if limit is None else folder / f"limit-{limit}"


def trained(recipe: Recipe, data: Data, folder: Path) -> Brick:
    """Return a source of a few minutes, whole: as it lies in `folder`, or trained there now."""
    if not (folder / f"{recipe.name}.safetensors").is_file():
        train(recipe, data, folder, say=lambda text: None)
    return read_source(folder / f"{recipe.name}.json", data)


def read_source(file: Path, data: Data) -> Brick:
    """Return a trained source, whole, by the JSON file beside its weights.

    Raises:
        DataError: the weights are not those that the file was written with.
    """
    document = json.loads(file.read_text())
    recipe = Recipe(**document["recipe"])
    weights = file.with_name(f"{recipe.name}.safetensors")
    if hashlib.sha256(weights.read_bytes()).hexdigest() != document.get("sha256"):
        raise DataError(f"{weights} is not what {file.name} describes: train it again, or fetch both anew")
    norm = PREPROCESS[recipe.dataset]
    model = zoo.build(recipe.network, len(data.classes), norm.channels, norm.height, recipe.width)
    model.load_state_dict(load_file(weights))
    return whole_brick(model.eval(), norm, data.classes, recipe.name)


def find_trained(folder: Path, dataset: str, network: str) -> Path:
    """Return the JSON file of the one finished source of a network on a data set, or of a longer name.

    Raises:
        LegoError: there is none, or there are several; the text says what to do.
    """
    begin = f"{dataset}-{network}"
    found = [f for f in sorted(folder.glob(f"{dataset}-*.json")) if f"{f.stem}-".startswith(f"{begin}-")]
    found = [f for f in found if "sha256" in json.loads(f.read_text())]
    if not found:
        raise LegoError(
            f"there is no trained {network} of {dataset} in {folder}: make one with python -m experiments train-source "
            f"{network.split('-', maxsplit=1)[0]} {dataset}, or name the folder it is in with --sources"
        )
    if len(found) > 1:
        names = ", ".join(f.stem.removeprefix(f"{dataset}-") for f in found)
        raise LegoError(f"there are several trained {network} of {dataset} in {folder}: name one of {names}")
    return found[0]
