"""Latency of a brick against its source: ResNet-50 at 224x224, half the MACs, channel counts in multiples of 8.

Both networks run in turn in one process, so that a busy machine slows both.
"""

import argparse
import statistics
import time
from functools import partial
from typing import Any

import torch

from experiments.frame.markdown import table
from experiments.frame.record import RESULTS
from experiments.frame.registry import Document, Experiment
from experiments.frame.run import Run
from modellego import zoo
from modellego.capture import capture
from modellego.capture.cost import network_macs
from modellego.channels import analyse
from modellego.cut import cut, plan_cut
from modellego.locate import CostModel, Request, rank


def half(name: str, size: int, macs: float, round_to: int) -> tuple[Any, Any]:
    """Return a captured network with random weights, and the same with a share of its MACs."""
    torch.manual_seed(0)
    network = capture(zoo.build(name, 1000, 3, size).eval(), (3, size, size))
    channels = analyse(network)
    costs, keep = CostModel(network, channels), channels.keep_all()
    images = torch.zeros(1, 3, size, size)
    curve = rank(
        "l1", Request(network, channels, images, None, range(1000)), (costs.macs(keep), costs.parameters(keep))
    )
    return network, cut(plan_cut(network, channels, curve.at(macs=macs, round_to=round_to)))


@torch.no_grad()
def timed(name: str, size: int, batch: int, runs: int, macs: float, round_to: int) -> dict[str, Any]:
    """Time source and brick in turn on one batch."""
    source, brick = half(name, size, macs, round_to)
    images = torch.rand(batch, 3, size, size)
    seconds: dict[str, list[float]] = {"source": [], "brick": []}
    for run in range(runs + 1):
        for key, network in (("source", source), ("brick", brick)):
            start = time.perf_counter()
            network.graph(images)
            if run:  # the first is a warm-up
                seconds[key].append(time.perf_counter() - start)
    medians = {key: statistics.median(values) for key, values in seconds.items()}
    counts = [network_macs(network)[0] for network in (source, brick)]
    return {
        "source_seconds": medians["source"],
        "brick_seconds": medians["brick"],
        "ratio": medians["brick"] / medians["source"],
        "ratio_of_pairs": statistics.median(b / s for s, b in zip(seconds["source"], seconds["brick"], strict=True)),
        "macs_share": counts[1] / counts[0],
        "runs": runs,
    }


def options(parser: argparse.ArgumentParser) -> None:
    """Declare network, sizes and runs."""
    parser.add_argument("--network", default="resnet50_imagenet")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--macs", type=float, default=0.5, help="share of the source's MACs")
    parser.add_argument("--round-to", type=int, default=8, help="channel counts are multiples of this")


def run(run: Run) -> None:
    """Time one network's brick."""
    size, batch, *more = (run.own[k] for k in ("size", "batch", "runs", "macs", "round_to"))
    key = f"{run.network} {size}x{size}, batch {batch}"
    run.row(key, partial(timed, str(run.network), size, batch, *more))


def section(document: Document) -> str:
    """Return the latency of a brick with half its source's MACs."""
    rows = [
        [
            key,
            f"{100 * r['macs_share']:.1f} %",
            f"{1000 * r['source_seconds']:.0f} ms",
            f"{1000 * r['brick_seconds']:.0f} ms",
            f"{r['ratio']:.3f}",
        ]
        for key, r in document["rows"].items()
    ]
    said = "Median of interleaved runs; the brick's channel counts are multiples of 8. Wanted: a ratio of at most 0.7."
    header = ["model, batch", "MACs left", "source", "brick", "ratio"]
    return "\n\n".join([said, table(header, rows)])


EXPERIMENT = Experiment(
    title="Latency falls with MACs",
    run=run,
    section=section,
    measures=("zoo", "capture", "channels", "cut", "locate"),
    options=options,
    settings=lambda run: {key: run.own[key] for key in ("runs", "macs", "round_to")},
    out=RESULTS,
)
