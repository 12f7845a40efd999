"""Graph networks: node classifiers captured, disassembled and saved as bricks by the code that serves images."""

from modellego.graphnet.capture import capture_graph
from modellego.graphnet.data import NodeData, read_cora
from modellego.graphnet.disassemble import GraphCost, disassemble_graph, graph_cost, score_nodes, whole_graph_brick
from modellego.graphnet.train import train_nodes

__all__ = [
    "GraphCost",
    "NodeData",
    "capture_graph",
    "disassemble_graph",
    "graph_cost",
    "read_cora",
    "score_nodes",
    "train_nodes",
    "whole_graph_brick",
]
