"""Graph networks: capture, exact cuts, contributions against their formula, bricks, refusals, and Cora."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from modellego.brick import Brick, load
from modellego.channels import analyse
from modellego.contribution.aggregate import table
from modellego.contribution.stream import reading_layers
from modellego.cut import cut, plan_cut
from modellego.errors import CaptureError, CutError, DataError, FormatError
from modellego.graphnet import (
    NodeData,
    capture_graph,
    disassemble_graph,
    graph_cost,
    read_cora,
    score_nodes,
    train_nodes,
    whole_graph_brick,
)
from modellego.graphnet.contribution import node_sums

FEATURES, CLASSES = 12, 4


def masked(*arguments: Any) -> Any:
    path = Path(__file__).resolve().parents[1] / "reference_masked.py"
    spec = importlib.util.spec_from_file_location("reference_masked", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module._Masked(*arguments)


class Plain(nn.Module):
    """A two-layer graph network of this file's own: sums over neighbours, written as scatters."""

    def __init__(self, hidden: int = 8) -> None:
        super().__init__()
        self.first = nn.Linear(FEATURES, hidden)
        self.second = nn.Linear(hidden, CLASSES)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.send(self.second, self.send(self.first, x, edge_index).relu(), edge_index)

    def send(self, layer: nn.Linear, x: Tensor, edge_index: Tensor) -> Tensor:
        messages = layer(x).index_select(0, edge_index[0])
        index = edge_index[1].view(-1, 1).expand_as(messages)
        return messages.new_zeros(x.shape[0], layer.out_features).scatter_add_(0, index, messages)


def geometric(name: str, **options: Any) -> nn.Module:
    models = pytest.importorskip("torch_geometric.nn", reason="torch_geometric is not installed")
    torch.manual_seed(0)
    model: nn.Module = getattr(models, name)(FEATURES, 8, 2, CLASSES, **options)
    return model


MODELS: dict[str, Any] = {
    "plain": Plain,
    "GCN": lambda: geometric("GCN", dropout=0.5),
    "GCN with batch norm": lambda: geometric("GCN", norm="batch"),
    "GraphSAGE": lambda: geometric("GraphSAGE"),
    "GraphSAGE max": lambda: geometric("GraphSAGE", aggr="max"),
    "GAT": lambda: geometric("GAT"),
    "GAT of four heads": lambda: geometric("GAT", heads=4),
    "GIN": lambda: geometric("GIN"),
}


@pytest.fixture(params=list(MODELS))
def model(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    made: nn.Module = MODELS[request.param]().double().eval()
    return made


def graph(nodes: int, edges: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    return torch.rand(nodes, FEATURES, generator=g).double(), torch.randint(0, nodes, (2, edges), generator=g)


@pytest.fixture
def data() -> NodeData:
    """Nodes of four classes, told apart by three features each and linked within their class."""
    g = torch.Generator().manual_seed(1)
    labels = torch.arange(80) % CLASSES
    x = torch.rand(80, FEATURES, generator=g)
    for k in range(3):
        x[torch.arange(80), 3 * labels + k] += 1
    ends = torch.randint(0, 20, (2, 200), generator=g) * CLASSES + torch.arange(200) % CLASSES
    classes = ("ant", "bee", "cat", "dog")
    return NodeData(x, ends, labels, classes, torch.arange(40), torch.arange(40, 60), torch.arange(60, 80))


@pytest.mark.parametrize(("nodes", "edges"), [(1, 0), (3, 1), (30, 90)])
def test_the_captured_network_is_the_model(model: nn.Module, nodes: int, edges: int) -> None:
    network = capture_graph(model, FEATURES)
    given = graph(nodes, edges)
    torch.testing.assert_close(network.graph(*given), model(*given), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_a_cut_equals_the_masked_source(model: nn.Module, seed: int) -> None:
    network = capture_graph(model, FEATURES)
    channels = analyse(network)
    random = np.random.default_rng(seed)
    keep = channels.keep_all()
    keep[channels.cuttable] = random.random(int(channels.cuttable.sum())) < 0.6
    for sets in channels.tensors():
        keep[sets[0]] = True
    given = graph(20, 60, seed)
    wanted = masked(network, channels, keep).run(*given)[:, [2, 0]]
    small = cut(plan_cut(network, channels, keep, [2, 0]))
    assert sum(p.numel() for p in small.graph.parameters()) < sum(p.numel() for p in network.graph.parameters())
    torch.testing.assert_close(small.graph(*given), wanted, rtol=1e-9, atol=1e-9)


def test_every_hidden_channel_may_be_cut() -> None:
    channels = analyse(capture_graph(geometric("GCN"), FEATURES))
    assert channels.summary() == {"groups": 12, "cuttable_groups": 8, "channels": 12, "cuttable_channels": 8}


def test_contributions_are_those_of_the_propagated_features() -> None:
    """For every node, `s_{q,p} = W_{q,p} (A x_p)_v`, rectified and summed over the samples; A is the GCN's."""
    model = geometric("GCN").double().eval()
    network = capture_graph(model, FEATURES)
    channels = analyse(network)
    x, edges = graph(15, 40)
    rows = torch.tensor([3, 7, 8])
    ((label, sums),) = node_sums(network, channels, x, edges, {2: rows})
    a = torch.zeros(15, 15, dtype=torch.float64)
    for s, t in edges.T.tolist():
        a[t, s] += s != t
    a += torch.eye(15, dtype=torch.float64)
    scale = a.sum(1) ** -0.5
    a = scale[:, None] * a * scale
    hidden = (a @ x @ model.convs[0].lin.weight.T + model.convs[0].bias).relu()  # type: ignore[index, union-attr]
    for (name, layer), read in zip(reading_layers(network, channels).items(), (x, hidden), strict=True):
        spread = (a @ read)[rows]
        wanted = (spread[:, None, :] * layer.weight).clamp(min=0).sum(0)
        torch.testing.assert_close(table(layer, sums.layers[name]), wanted.detach())
    assert (label, sums.samples) == (2, 3)


@pytest.mark.parametrize("name", ["plain", "GCN"])
def test_a_task_is_taken_out(name: str, data: NodeData) -> None:
    torch.manual_seed(0)
    whole = whole_graph_brick(train_nodes(MODELS[name](), data, epochs=40, lr=0.05), data, name)
    brick = disassemble_graph(whole, data, "bee,dog")
    scores = brick.info.scores
    assert brick.classes == ("bee", "dog")
    assert (scores["parameters"] or 0) < (scores["parameters_base"] or 0)
    assert (scores["brick_accuracy"] or 0) >= 0.9
    assert (scores["base_restricted_accuracy"] or 0) >= 0.9


@pytest.mark.parametrize("name", ["plain", "GCN", "GAT of four heads"])
def test_a_graph_brick_is_saved_and_loaded(name: str, data: NodeData, tmp_path: Path) -> None:
    torch.manual_seed(0)
    brick = disassemble_graph(MODELS[name](), data, "0-2")
    again = load(brick.save(tmp_path / "g.brick"))
    assert isinstance(again, Brick)
    assert again.info == brick.info
    assert again.info.inputs == "graph"
    assert torch.equal(again(data.x, data.edge_index), brick(data.x, data.edge_index))


def test_a_loaded_graph_brick_is_cut_again(data: NodeData, tmp_path: Path) -> None:
    brick = load(whole_graph_brick(Plain(16), data).save(tmp_path / "g.brick"))
    assert isinstance(brick, Brick)
    assert graph_cost(disassemble_graph(brick, data, "0"), data).parameters < graph_cost(brick, data).parameters


def test_edges_must_be_given(data: NodeData) -> None:
    with pytest.raises(DataError, match="node features and edge_index"):
        whole_graph_brick(Plain(), data)(data.x)


def test_a_network_of_one_input_is_no_graph_brick(data: NodeData) -> None:
    from modellego.capture import capture

    info = whole_graph_brick(Plain(), data).info
    with pytest.raises(FormatError, match="inputs"):
        Brick(capture(nn.Linear(FEATURES, CLASSES), (FEATURES,)).graph, info)


def test_one_layer_has_nothing_to_cut(data: NodeData) -> None:
    class One(Plain):
        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return self.send(self.second, x[:, :8], edge_index)

    with pytest.raises(CutError, match="no channels that may be cut"):
        disassemble_graph(One(), data, "0")


def test_what_classifies_no_nodes_is_refused() -> None:
    class Pooled(Plain):
        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return super().forward(x, edge_index).mean(0, keepdim=True)

    with pytest.raises(CaptureError, match="one row of logits per node"):
        capture_graph(Pooled(), FEATURES)


def test_what_takes_no_edges_is_refused() -> None:
    with pytest.raises(CaptureError, match="does not run on node features"):
        capture_graph(nn.Linear(FEATURES, 2), FEATURES)


def test_edges_beyond_the_nodes_are_refused(data: NodeData) -> None:
    with pytest.raises(DataError, match="not among"):
        NodeData(data.x, data.edge_index + 80, data.labels, data.classes, data.train, data.validation, data.test)


def test_a_gcn_on_cora(shared: Path) -> None:
    raw = shared / "data" / "cora" / "raw"
    if not raw.is_dir():
        pytest.skip(f"no Cora at {raw}")
    models = pytest.importorskip("torch_geometric.nn", reason="torch_geometric is not installed")
    data = read_cora(raw)
    torch.manual_seed(0)
    gcn = models.GCN(data.x.shape[1], 16, 2, len(data.classes), dropout=0.5)
    whole = whole_graph_brick(train_nodes(gcn, data, epochs=60), data, "gcn")
    assert (score_nodes(whole, data, range(7))[0] or 0) > 0.75
    scores = disassemble_graph(whole, data, "1-2").info.scores
    assert (scores["brick_accuracy"] or 0) > 0.8
    assert (scores["parameters"] or 0) < 0.9 * (scores["parameters_base"] or 0)
