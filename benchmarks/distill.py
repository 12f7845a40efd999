"""A small student alone, taught by the whole source, and taught by a brick of the task: two tasks, as JSON.

Run `python benchmarks/distill.py` (`--smoke` for a minute's look at whether it runs). CIFAR-10 and the published
ResNet-20 from the shared folder (MODELLEGO_SHARED); the student is a ResNet-20 of a quarter of the width, trained from
the same seed on the same images each time. The test split is read once a row.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from modellego.brick import Brick
from modellego.data import Data, load_data, resolve_classes
from modellego.disassemble import disassemble
from modellego.distill import Distillation, distill, student_from, teachers_preprocess
from modellego.evaluate import cost, logits_of, restricted, score
from modellego.finetune import Settings
from modellego.sources import load_source
from modellego.whole import whole_brick

HERE = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("MODELLEGO_SHARED", HERE.parents[1] / "shared"))
RESULTS = HERE / "results" / "distill.json"
TASKS = ("0-2", "3-9")
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


def few(data: Data, per_class: int, seed: int) -> Data:
    """Keep some training images a class; the test part stays."""
    random = np.random.default_rng(seed)
    picked = [random.permutation(data.train.of_class(k))[:per_class] for k in range(len(data.classes))]
    return Data(data.train.subset(np.sort(np.concatenate(picked))), data.test)


def rows_of(task: str, whole: Brick, data: Data, given: argparse.Namespace) -> list[dict[str, Any]]:
    names = [whole.classes[i] for i in resolve_classes(task, whole.classes)]
    brick = disassemble(whole, data, task, name="resnet20")
    known = data.for_model(names)
    assert known.test is not None
    teachers = {"alone": None, "source": whole, "brick": brick}
    rows = []
    for name, teacher in teachers.items():
        for seed in given.seeds:
            started = time.perf_counter()
            student = student_from(
                f"zoo:{given.student}", names, teachers_preprocess(whole), width=given.width, seed=seed
            )
            how = Distillation(given.temperature, given.share if teacher is not None else 0.0)
            settings = Settings(epochs=given.epochs, lr=given.lr, seed=seed, held_out=0.05, device=given.device)
            done = distill(teacher or whole, student, few(known, given.per_class, seed), how=how, settings=settings)
            accuracy = score(logits_of(done.student, known.test), known.test.labels).accuracy
            seconds = time.perf_counter() - started
            row = {"task": task, "taught_by": name, "seed": seed, "accuracy": accuracy, "seconds": seconds}
            rows.append(
                row | {"student_macs": cost(done.student).macs, "student_parameters": cost(done.student).parameters}
            )
            if teacher is not None:
                logits = logits_of(teacher, known.test)
                columns = [teacher.classes.index(n) for n in names]
                rows[-1] |= {
                    "teacher_accuracy": restricted(logits, columns, known.test.labels)[1],
                    "teacher_macs": cost(teacher).macs,
                }
            print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--student", default="resnet20")
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--per-class", type=int, default=300)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--temperature", type=float, default=4.0)
    parser.add_argument("--share", type=float, default=0.9)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--smoke", action="store_true", help="One epoch on few images, to /tmp.")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    if given.smoke:
        given.epochs, given.per_class, given.out = 1, 40, Path("/tmp/distill_smoke.json")
    torch.manual_seed(0)
    data = load_data(str(SHARED / "data" / "cifar10"))
    if given.smoke:
        assert data.test is not None
        data = Data(few(data, 300, 0).train, data.test.subset(np.arange(0, len(data.test), 10)))
    weights = SHARED / "models" / "cifar10_resnet20.safetensors"
    source = load_source("zoo:resnet20", weights=weights, mean=MEAN, std=STD, input_size=32)
    whole = whole_brick(source.model, source.preprocess, data.classes, "resnet20")
    rows: list[dict[str, Any]] = []
    for task in given.tasks:
        rows += rows_of(task, whole, data, given)
        settings = {k: str(v) if isinstance(v, Path) else v for k, v in vars(given).items()}
        given.out.write_text(json.dumps({"settings": settings, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
