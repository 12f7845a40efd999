"""Train one of the paper's networks from nothing on all train images of a data set; it only trains, and can be resumed.

    python -m experiments.train_source vgg16_bn cifar10 --data ../shared --out ~/.cache/modellego/sources

The folder `--out` gets NAME.pt (the checkpoint of the last epoch, taken up again by the same command), NAME.safetensors
(the weights, once all epochs are done) and NAME.json (the recipe, loss and accuracy of each epoch, the weights' SHA-256).
The learning rate follows one cycle (Smith and Topin 2018), so that ten to fifteen epochs are enough. The last
epoch's weights are taken, whatever the test accuracy: the test images choose nothing.
"""

import argparse
import contextlib
import hashlib
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from modellego import zoo
from modellego.data import ImageSet, load_data
from modellego.training.augment import Augment, augmented

NORMS = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "cifar100": ((0.5070, 0.4865, 0.4409), (0.2673, 0.2564, 0.2761)),
}
# what is faster depends on network and machine: without bfloat16 in hardware, float32 is, and for VGG-16 contiguous maps
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


@dataclass(frozen=True)
class Recipe:
    """All that the weights follow from: SGD with Nesterov momentum, one cycle, mirrored and shifted images."""

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
    """Decode a data set once: uint8 `[N, 3, 32, 32]`, labels int64 `[N]`."""
    pixels = torch.stack([torch.from_numpy(images.read(i)).permute(2, 0, 1) for i in range(len(images))])
    return pixels.contiguous(), torch.from_numpy(images.labels)


def normalised(pixels: Tensor, recipe: Recipe) -> Tensor:
    """Return float32 network input `[B, 3, h, w]` from uint8 pixels."""
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in NORMS[recipe.dataset])
    return ((pixels.float() / 255 - mean) / std).contiguous(memory_format=FORMATS[recipe.memory_format])


def autocast(precision: str) -> contextlib.AbstractContextManager[Any]:
    """Return the context that forward passes run in."""
    if precision == "bfloat16":
        return torch.autocast("cpu", torch.bfloat16)
    return contextlib.nullcontext()


def epoch(
    model: nn.Module, images: Tensor, labels: Tensor, recipe: Recipe, state: dict[str, Any], number: int
) -> tuple[float, float]:
    """Train one epoch, in place; return the mean loss and the train accuracy. The order follows from seed and number."""
    generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + number)
    torch.manual_seed(recipe.seed * 1_000_003 + number)  # dropout
    order = torch.randperm(len(images), generator=generator)
    model.train()
    loss_sum, right, seen = 0.0, 0, 0
    for chosen in order.split(recipe.batch_size):
        if len(chosen) < recipe.batch_size:
            break
        batch = normalised(augmented(images[chosen], Augment(), generator), recipe)
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
    right = sum(
        int((model(normalised(i, recipe)).argmax(1) == l).sum())
        for i, l in zip(images.split(500), labels.split(500), strict=True)
    )
    return right / len(labels)


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint, whole or not at all."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    os.replace(part, path)


def train(recipe: Recipe, data: Path, out: Path, command: str) -> dict[str, Any]:
    """Train to the end of the recipe, going on from a checkpoint in `out`; return what NAME.json holds."""
    sets = load_data(str(data / "data" / recipe.dataset))
    assert sets.test is not None
    images, labels = in_memory(sets.train)
    test_images, test_labels = in_memory(sets.test)
    torch.manual_seed(recipe.seed)
    model = zoo.build(recipe.network, len(sets.classes), 3, 32, recipe.width)
    model = model.to(memory_format=FORMATS[recipe.memory_format])  # type: ignore[call-overload]
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=0.9, nesterov=True)
    steps = recipe.epochs * (len(images) // recipe.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, steps, pct_start=0.25, cycle_momentum=False, div_factor=10, final_div_factor=1e3
    )
    state: dict[str, Any] = {"optimizer": optimizer, "schedule": schedule}
    log: list[dict[str, float]] = []
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / f"{recipe.name}.pt"
    if checkpoint.is_file():
        found = torch.load(checkpoint, weights_only=True)
        if found["recipe"] != asdict(recipe):
            raise SystemExit(f"{checkpoint} is of another recipe: move it away")
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
        print(f"{recipe.name} {json.dumps(log[-1])}", flush=True)
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


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("network", choices=zoo.names())
    parser.add_argument("dataset", choices=sorted(NORMS))
    parser.add_argument("--data", type=Path, default=Path("../shared"), help="folder with data/DATASET")
    parser.add_argument("--out", type=Path, default=Path("~/.cache/modellego/sources"))
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--learning-rate", type=float, default=0.1)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--weight-decay", type=float, default=5e-4)
    parser.add_argument("--label-smoothing", type=float, default=0.0)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--memory-format", choices=sorted(FORMATS), default="channels_last")
    parser.add_argument("--seed", type=int, default=0)
    said = parser.parse_args()
    options = {k: v for k, v in vars(said).items() if k not in ("data", "out")}
    command = "python -m experiments.train_source " + " ".join(
        [said.network, said.dataset, *(f"--{k.replace('_', '-')} {v}" for k, v in options.items() if k not in ("network", "dataset"))]
    )
    done = train(Recipe(**options), said.data, said.out.expanduser(), command)
    print(f"sha256 {done['sha256']}, test accuracy {done['epochs'][-1]['test_accuracy']:.4f}")


if __name__ == "__main__":
    main()
