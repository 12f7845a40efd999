"""Latency of a brick against its source: ResNet-50 at 224x224, half the MACs, channel counts in multiples of 8.

Run `python benchmarks/brick_latency.py`; both networks run in turn in one process, so that a busy machine slows both.
"""

import argparse
import statistics
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch

from modellego import zoo
from modellego.capture import capture
from modellego.capture.cost import network_macs
from modellego.channels import analyse
from modellego.cut import cut, plan_cut
from modellego.locate import CostModel, Request, rank
from record import RESULTS, Record


def half(name: str, size: int, macs: float, multiple: int) -> tuple[Any, Any]:
    """Return a captured network with random weights, and the same with a share of its MACs."""
    torch.manual_seed(0)
    network = capture(zoo.build(name, 1000, 3, size).eval(), (3, size, size))
    channels = analyse(network)
    costs, keep = CostModel(network, channels), channels.keep_all()
    images = torch.zeros(1, 3, size, size)
    curve = rank(
        "l1", Request(network, channels, images, None, range(1000)), (costs.macs(keep), costs.parameters(keep))
    )
    return network, cut(plan_cut(network, channels, curve.at(macs=macs, round_to=multiple)))


@torch.no_grad()
def timed(name: str, size: int, batch: int, runs: int, macs: float, multiple: int) -> dict[str, Any]:
    """Time source and brick in turn on one batch."""
    source, brick = half(name, size, macs, multiple)
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


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--network", default="resnet50_imagenet")
    words.add_argument("--size", type=int, default=224)
    words.add_argument("--batch", type=int, default=32)
    words.add_argument("--runs", type=int, default=30)
    words.add_argument("--macs", type=float, default=0.5, help="share of the source's MACs")
    words.add_argument("--multiple", type=int, default=8)
    words.add_argument("--out", type=Path, default=RESULTS / "brick_latency.json")
    said = words.parse_args()
    record = Record(said.out, {"runs": said.runs, "macs": said.macs, "multiple": said.multiple})
    key = f"{said.network} {said.size}x{said.size}, batch {said.batch}"
    work = partial(timed, said.network, said.size, said.batch, said.runs, said.macs, said.multiple)
    record.row(key, work)
    record.write()


if __name__ == "__main__":
    main()
