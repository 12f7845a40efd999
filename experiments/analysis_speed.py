"""Time and memory of channel analysis and cut on three torchvision networks at 224 x 224 (Linux)."""

import gc
import time
from functools import partial
from typing import Any

import torch

from experiments.frame.markdown import table
from experiments.frame.registry import Document, Experiment
from experiments.frame.run import Run
from experiments.study.coverage_models import declare_torchvision_ops
from experiments.study.masked import high_water, numel_bytes, reference
from modellego.capture import capture
from modellego.channels import analyse
from modellego.cut import cut, plan_cut

MODELS = ("vgg16", "densenet121", "resnet50")


def measured(name: str) -> dict[str, Any]:
    """Measure one network, with random weights."""
    keep_alive = declare_torchvision_ops()
    import torchvision

    network = capture(torchvision.models.get_model(name, weights=None), (3, 224, 224))
    gc.collect()
    high_water(reset=True)
    before, start, cpu = high_water(), time.perf_counter(), time.process_time()
    channels = analyse(network)
    row: dict[str, Any] = {"threads": torch.get_num_threads()}
    row |= {"analysis_s": time.perf_counter() - start, "analysis_cpu_s": time.process_time() - cpu}
    row |= {"analysis_mb": (high_water() - before) / 1e6}
    keep = reference().random_keep(channels, 0.5)
    start, cpu = time.perf_counter(), time.process_time()
    small = cut(plan_cut(network, channels, keep, [0, 1, 2]))
    row |= {"cut_s": time.perf_counter() - start, "cut_cpu_s": time.process_time() - cpu}
    row |= {"cut_mb": (high_water() - before - numel_bytes(small.graph)) / 1e6}
    del keep_alive
    return {k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}


def run(run: Run) -> None:
    """Measure each network."""
    for name in MODELS:
        run.row(name, partial(measured, name))


def section(document: Document) -> str:
    """Return the time of analysis and cut, capture apart."""
    columns = ("analysis_cpu_s", "analysis_s", "analysis_mb", "cut_cpu_s")
    rows = [[name, *(row[c] for c in columns)] for name, row in document["rows"].items()]
    header = ["torchvision model at 224", "analysis, CPU s", "analysis, s", "analysis, MB", "cut, CPU s"]
    return table(header, rows)


EXPERIMENT = Experiment(
    title="Channel analysis",
    run=run,
    section=section,
    measures=("channels", "cut"),
    settings=lambda run: {},
)
