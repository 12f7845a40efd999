"""All criteria at equal MACs and with the same refit, on two tasks of published ResNet-20s, as one JSON file.

Run `python benchmarks/criteria.py [--shared DIR] [--seeds 0 1 2]` (again, to resume, or for more calibration seeds);
`--limit N` images a split is for development. Calibration images come from the train shard (200 a class for CIFAR-10,
50 for CIFAR-100), the test part is read once a row. Every criterion ranks by its score per MAC saved.
"""

import argparse
import os
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch

from modellego.locate import names
from modellego.paper.cutting import Cutter, Method
from modellego.paper.sources import Sources
from record import RESULTS, Record

SHARED = Path(os.environ.get("MODELLEGO_SHARED", Path(__file__).resolve().parents[2] / "shared"))
TASKS = (("cifar10", "0-2", 200), ("cifar100", "0-19", 50))
SHARES = (0.75, 0.5)


def measured(cutter: Cutter, criterion: str, share: float, seed: int) -> dict[str, Any]:
    """Cut by one criterion, score it; the same again with a refit."""
    method = Method(criterion, "macs", seed if criterion == "random" else 0)
    alone = cutter.row(cutter.cut(method, share))
    repaired = cutter.row(cutter.cut(method, share, refit=True))
    return {"macs": alone["macs"], "parameters": alone["parameters"], "cut_accuracy": alone["accuracy"]} | {
        "refit_accuracy": repaired["accuracy"]
    }


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--shared", type=Path, default=SHARED, help="folder with data/ and models/")
    words.add_argument("--seeds", nargs="+", type=int, default=[0], help="of calibration images, and of `random`")
    words.add_argument("--limit", type=int, help="images a split, for development")
    words.add_argument("--out", type=Path, default=RESULTS / "criteria.json")
    said = words.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    record = Record(said.out, {"network": "resnet20", "limit": said.limit})
    sources = Sources(said.shared, said.limit)
    for seed in said.seeds:
        for dataset, classes, per_class in TASKS:
            whole = sources.published(f"{dataset}_resnet20")
            cutter = cache(partial(Cutter, whole, sources.data(dataset), classes, per_class, seed))
            task = f"{dataset} {classes}"
            record.row(f"{task} base", lambda cutter=cutter: cutter().base())
            for criterion in names():
                for share in SHARES:
                    key = f"{task} {criterion} {share:g} seed {seed}"
                    record.row(key, lambda c=criterion, s=share, cutter=cutter, n=seed: measured(cutter(), c, s, n))
    record.write()


if __name__ == "__main__":
    main()
