"""Graph networks on Cora, two epochs: one row per task, and a network that is not there is refused by name."""

from pathlib import Path

import pytest

from experiments.frame.registry import find
from experiments.frame.run import Run
from experiments.graph import TASKS
from modellego.errors import LegoError


def test_gcn_is_taken_apart(shared: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch_geometric")
    run = Run("graph", shared, tmp_path, network="gcn", own={"epochs": 2}, say=lambda text: None)
    find("graph").run(run)
    rows = run.record.document["rows"]
    assert list(rows) == ["GCN whole", *(f"GCN {task}" for task in TASKS)]
    assert all(rows[f"GCN {task}"]["loaded_equals_saved"] for task in TASKS)


def test_other_networks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LegoError, match="GCN, GraphSAGE, GAT, not vgg16"):
        find("graph").run(Run("graph", tmp_path, tmp_path, network="vgg16"))
