"""A graph with labelled nodes, and Cora as PyTorch Geometric reads it."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from modellego.errors import DataError, MissingExtraError

CORA = (
    "Case_Based", "Genetic_Algorithms", "Neural_Networks", "Probabilistic_Methods", "Reinforcement_Learning",
    "Rule_Learning", "Theory",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class NodeData:
    """A graph whose nodes are to be classified.

    `x` float `[N, F]`, `edge_index` int64 `[2, E]` (source, target), `labels` int64 `[N]`; `train`, `validation` and
    `test` int64, the numbers of the nodes that serve for each. Raises `DataError` where they do not fit.
    """

    x: Tensor
    edge_index: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    train: Tensor
    validation: Tensor
    test: Tensor

    def __post_init__(self) -> None:
        nodes = len(self.x)
        if self.x.ndim != 2 or len(self.labels) != nodes:
            raise DataError(f"node features {list(self.x.shape)} need one label per node, not {len(self.labels)}")
        if self.edge_index.ndim != 2 or len(self.edge_index) != 2 or self.edge_index.dtype != torch.int64:
            raise DataError(f"edge_index is int64 [2, E], not {self.edge_index.dtype} {list(self.edge_index.shape)}")
        if self.edge_index.numel() and not 0 <= int(self.edge_index.min()) <= int(self.edge_index.max()) < nodes:
            raise DataError(f"edge_index names nodes that are not among the {nodes} there are")
        if nodes and not 0 <= int(self.labels.min()) <= int(self.labels.max()) < len(self.classes):
            raise DataError(f"there are labels beyond the {len(self.classes)} classes")

    def of_classes(self, nodes: Tensor, task: list[int]) -> tuple[Tensor, Tensor]:
        """Return those of some nodes that are of a task's classes, and their labels within the task, int64 each."""
        place = torch.full((len(self.classes),), -1)
        place[task] = torch.arange(len(task))
        labels = place[self.labels[nodes]]
        return nodes[labels >= 0], labels[labels >= 0]


def read_cora(raw: str | Path) -> NodeData:
    """Read Cora with its standard split (Yang et al. 2016) from a folder with the eight `ind.cora.*` files.

    Features are normalised to sum to one per node, as Kipf and Welling 2017 do. Raises `MissingExtraError` without
    PyTorch Geometric, `DataError` where files are missing.
    """
    try:
        from torch_geometric.datasets import Planetoid
        from torch_geometric.transforms import NormalizeFeatures
    except ImportError as error:
        raise MissingExtraError("torch_geometric", "graph") from error
    files = sorted(Path(raw).glob("ind.cora.*"))
    if len(files) != 8:
        raise DataError(f"{raw} holds {len(files)} of Cora's 8 raw files (ind.cora.x, ...)")
    with tempfile.TemporaryDirectory() as root:  # it writes beside the raw files, which may be read-only
        folder = Path(root) / "Cora" / "raw"
        folder.mkdir(parents=True)
        for file in files:
            shutil.copyfile(file, folder / file.name)
        graph = Planetoid(root, "Cora", transform=NormalizeFeatures())[0]
    splits = (m.nonzero()[:, 0] for m in (graph.train_mask, graph.val_mask, graph.test_mask))
    return NodeData(graph.x, graph.edge_index, graph.y, CORA, *splits)
