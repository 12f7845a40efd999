"""Graph networks on Cora: PyTorch Geometric's own GCN, GraphSAGE and GAT, trained and disassembled."""

import argparse
import tempfile
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch

from experiments.frame.markdown import percent, share, table
from experiments.frame.page import reproduction
from experiments.frame.registry import CUTTING, Experiment
from experiments.frame.run import Run
from modellego.brick import Brick, load
from modellego.errors import LegoError, MissingExtraError
from modellego.graphnet import (
    NodeData,
    disassemble_graph,
    graph_cost,
    read_cora,
    score_nodes,
    train_nodes,
    whole_graph_brick,
)

TASKS = ("0", "1", "1-2", "3-5")
MODELS: dict[str, dict[str, Any]] = {
    "GCN": {"hidden_channels": 16},
    "GraphSAGE": {"hidden_channels": 16},
    "GAT": {"hidden_channels": 64, "heads": 8},
}
EPOCHS = 200


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the network and its training."""
    parser.add_argument("--network", help=f"one of {', '.join(MODELS)}")
    parser.add_argument("--epochs", type=int, help=f"in place of {EPOCHS}")


def run(run: Run) -> None:
    """Train each network by the standard split, and take its tasks apart."""
    data = cache(lambda: read_cora(run.sources.place("cora") / "raw"))
    chosen = [m for m in MODELS if run.network is None or m.lower() == run.network.lower()]
    if not chosen:
        raise LegoError(f"the graph networks are {', '.join(MODELS)}, not {run.network}")
    for name in chosen:
        whole = cache(partial(_trained, name, run, data))
        run.row(f"{name} whole", lambda whole=whole: _whole(whole(), data()))  # type: ignore[misc]
        for task in TASKS:
            run.row(f"{name} {task}", lambda whole=whole, task=task: _taken_apart(whole(), data(), task))  # type: ignore[misc]


def _trained(name: str, run: Run, data: Any) -> Brick:
    try:
        import torch_geometric.nn as models
    except ImportError as error:
        raise MissingExtraError("torch_geometric", "graph") from error
    nodes: NodeData = data()
    torch.manual_seed(run.seed)
    options = dict(MODELS[name])
    hidden = options.pop("hidden_channels")
    model = getattr(models, name)(nodes.x.shape[1], hidden, 2, len(nodes.classes), dropout=0.5, **options)
    with run.progress(f"train {name}", "epochs"):
        trained = train_nodes(model, nodes, epochs=run.own.get("epochs") or EPOCHS, seed=run.seed)
    return whole_graph_brick(trained, nodes, name)


def _whole(whole: Brick, data: NodeData) -> dict[str, Any]:
    accuracy, _ = score_nodes(whole, data, range(len(data.classes)))
    return {"accuracy": accuracy, "nodes": len(data.test)}


def _taken_apart(whole: Brick, data: NodeData, task: str) -> dict[str, Any]:
    brick = disassemble_graph(whole, data, task)
    assert brick.info.cut is not None
    with tempfile.TemporaryDirectory() as folder:
        saved = brick.save(Path(folder) / "g.brick")
        size = sum(f.stat().st_size for f in saved.iterdir())
        same = torch.equal(load(saved)(data.x, data.edge_index), brick(data.x, data.edge_index))
    return {
        **brick.info.scores,
        "message_macs": graph_cost(brick, data).message_macs,
        "message_macs_base": graph_cost(whole, data).message_macs,
        "kept_groups": brick.info.cut.kept,
        "groups": brick.info.cut.total,
        "bytes": size,
        "loaded_equals_saved": same,
    }


def tables(rows: dict[str, Any]) -> str:
    """Return one table, a line per network and task."""
    lines = []
    for key, row in rows.items():
        name, task = key.split()
        if task == "whole":
            lines.append([f"{name}, all classes", percent(row["accuracy"]), *["–"] * 5])
            continue
        accuracies = [percent(row[f"{k}_accuracy"]) for k in ("base", "base_restricted", "brick")]
        shares = [share(row[k], row[f"{k}_base"]) for k in ("macs", "message_macs", "parameters")]
        lines.append([f"{name}, {task}", *accuracies, *shares])
    header = ["network, task", "base", "restricted", "brick", "MACs of layers", "of messages", "parameters"]
    same = all(row.get("loaded_equals_saved", True) for row in rows.values())
    said = "Accuracy on Cora's test nodes of the task, per cent; costs as shares of the source's. "
    said += "Every brick gives the same logits saved and loaded again." if same else "**A loaded brick differs.**"
    return "\n\n".join([table(header, lines), said])


SHOWS = "disassembles a GCN on Cora for the tasks 0, 1, 1-2 and 3-5; its figures are not at hand."
DIFFERS = (
    "PyTorch Geometric's own GCN, GraphSAGE and GAT (unchanged classes, two layers) are trained by the "
    "standard split, 200 epochs of Adam, and cut at the paper's thresholds for linear layers, without refit; on "
    "one-class tasks restricted and brick are 100 by construction, as one logit is always right."
)

EXPERIMENT = Experiment(
    title="Graph networks on Cora",
    run=run,
    section=reproduction(SHOWS, DIFFERS, tables),
    measures=(*CUTTING, "graphnet"),
    options=options,
)
