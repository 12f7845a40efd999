"""Disassemble PyTorch Geometric's GCN (and GraphSAGE, GAT) on Cora: one row a task, as JSON.

Run `python benchmarks/cora.py` (`--models GCN`, `--epochs 200`, `--seeds 0 1 2`). Trains by the standard split, seeded;
needs the extra `graph` and Cora's raw files in the shared folder (MODELLEGO_SHARED).
"""

import argparse
import json
import os
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch

from modellego.brick import load
from modellego.graphnet import (
    NodeData,
    disassemble_graph,
    graph_cost,
    read_cora,
    score_nodes,
    train_nodes,
    whole_graph_brick,
)

HERE = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("MODELLEGO_SHARED", HERE.parents[1] / "shared"))
RESULTS = HERE / "results" / "cora.json"
TASKS = ("0", "1", "1-2", "3-5")
MODELS: dict[str, dict[str, Any]] = {
    "GCN": {"hidden_channels": 16},
    "GraphSAGE": {"hidden_channels": 16},
    "GAT": {"hidden_channels": 64, "heads": 8},
}


def measure(name: str, seed: int, data: NodeData, epochs: int) -> dict[str, Any]:
    import torch_geometric.nn as models

    started = time.perf_counter()
    torch.manual_seed(seed)
    options = dict(MODELS[name])
    hidden = options.pop("hidden_channels")
    model = getattr(models, name)(data.x.shape[1], hidden, 2, len(data.classes), dropout=0.5, **options)
    whole = whole_graph_brick(train_nodes(model, data, epochs=epochs, seed=seed), data, name)
    trained = time.perf_counter() - started
    accuracy, _ = score_nodes(whole, data, range(len(data.classes)))
    rows = []
    for task in TASKS:
        brick = disassemble_graph(whole, data, task)
        with tempfile.TemporaryDirectory() as folder:
            saved = brick.save(Path(folder) / "g.brick")
            size = sum(f.stat().st_size for f in saved.iterdir())
            same = torch.equal(load(saved)(data.x, data.edge_index), brick(data.x, data.edge_index))
        assert brick.info.cut is not None
        sent = {
            "message_macs": graph_cost(brick, data).message_macs,
            "message_macs_base": graph_cost(whole, data).message_macs,
        }
        kept = {"kept_sets": brick.info.cut.kept, "sets": brick.info.cut.total}
        rows.append({"task": task, **brick.info.scores, **sent, **kept, "bytes": size, "loaded_equals_saved": same})
        print(name, seed, rows[-1], flush=True)
    return {
        "model": name,
        "seed": seed,
        "epochs": epochs,
        "accuracy": accuracy,
        "train_seconds": trained,
        "tasks": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    data = read_cora(SHARED / "data" / "cora" / "raw")
    known = json.loads(given.out.read_text())["runs"] if given.out.exists() else []
    for name in given.models:
        for seed in given.seeds:
            run = measure(name, seed, data, given.epochs)
            known = [r for r in known if (r["model"], r["seed"]) != (name, seed)] + [run]
            given.out.parent.mkdir(parents=True, exist_ok=True)
            about = (
                "accuracies are fractions of Cora's test nodes of the task; base: all logits; MACs of one whole pass"
            )
            given.out.write_text(json.dumps({"about": about, "runs": known}, indent=1) + "\n")


if __name__ == "__main__":
    main()
