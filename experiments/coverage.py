"""Take every classifier of torchvision and one model of every timm family apart, one row per model (Linux).

Each model runs in a process of its own with a time and a memory limit.
"""

import argparse
import gc
import multiprocessing
import resource
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from experiments.frame.registry import Experiment
from experiments.frame.run import Run
from experiments.study.coverage_models import (
    FORM,
    all_jobs,
    build,
    declare_torchvision_ops,
    find_families,
    kind_of,
    settle_norms,
)
from experiments.study.coverage_table import page
from experiments.study.masked import high_water, numel, numel_bytes, reference

WANTED = [5, 0, 3, *range(10, 40)]
SEED = 0
DTYPE = torch.float64
TOLERANCE = 1e-8
LARGE = 60_000_000  # parameters above which all but the comparison is done in float32, to stay within memory
MOST_SECONDS, MOST_MB = 3.0, 1000.0  # of analysis and cut together


@dataclass
class Row:
    """One model's row, filled stage by stage: what was known before a failure stays, and `stage` says where it was."""

    values: dict[str, Any]
    report: Callable[[dict[str, Any]], None]
    stage: str = "build"

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Record a stage's processor seconds: other work on the machine does not count."""
        self.stage = stage
        self.report({**self.values, "error": f"{stage}: "})
        start = time.process_time()
        yield
        self.values[f"{stage}_s"] = round(time.process_time() - start, 3)


@contextmanager
def peak(extra: list[int]) -> Iterator[None]:
    """Put by how many bytes resident memory rose at most into `extra`."""
    gc.collect()
    high_water(reset=True)
    before = high_water()
    yield
    extra.append(high_water() - before)


def measure(job: str, row: Row) -> None:
    """Take one model apart and compare it with its masked source."""
    from modellego.brick import Brick, BrickInfo, load, save
    from modellego.channels import analyse
    from modellego.cut import cut, plan_cut

    ref, out = reference(), row.values
    torch.manual_seed(SEED)
    network = captured(job, row)
    shape = network.input_shape
    seen: list[int] = []
    with peak(seen), row.timed("analysis"):
        channels = analyse(network)
    note(out, network, channels)
    keep = halves(network, channels, row)
    with peak(seen), row.timed("cut"):
        small = cut(plan_cut(network, channels, keep, WANTED))
    out["memory_mb"] = round(max(seen[0], seen[1] - numel_bytes(small.graph)) / 1e6)
    out["within_limits"] = out["analysis_s"] + out["cut_s"] < MOST_SECONDS and out["memory_mb"] < MOST_MB
    out["parameters_kept"] = round(numel(small.graph) / max(out["parameters"], 1), 4)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.brick"
        with row.timed("save"):
            save(Brick(small.graph, BrickInfo(classes=tuple(map(str, WANTED)), input_shape=shape)), path)
        images = torch.randn(2, *shape, dtype=DTYPE)
        row.stage = "forward"
        with torch.no_grad():
            found = in_double(small.graph)(images)
        del small
        with row.timed("load"):
            brick = load(path)
    row.stage = "forward of the loaded brick"
    with torch.no_grad():
        in_double(brick.network)
        again = brick(images)
    del brick
    out["reload_ok"] = bool(ref.relative_error(again, found) < 1e-12)
    if not out["reload_ok"]:
        raise AssertionError("the reloaded brick computes something else")
    row.stage = "comparison"
    in_double(network.graph)
    expected = ref.masked_reference(network, channels, keep, WANTED)(images)
    out["spread"] = ref.relative_error(expected[0], expected[1])
    out["error_relative"] = ref.relative_error(found, expected)
    if not out["error_relative"] <= TOLERANCE:
        raise AssertionError(f"relative error {out['error_relative']:.1e} against the masked reference")
    if not out["spread"] > 1e-6:
        raise AssertionError("the logits do not depend on the image: nothing was compared")


def in_double(graph: Any) -> Any:
    """Take a graph to float64, in place, and the casts in it."""
    for node in graph.graph.nodes:
        if node.op == "call_function" and torch.float32 in (*node.args, *node.kwargs.values()):
            node.args = tuple(DTYPE if a is torch.float32 else a for a in node.args)
            node.kwargs = {k: DTYPE if a is torch.float32 else a for k, a in node.kwargs.items()}
    graph.recompile()
    return graph.to(DTYPE)


def captured(job: str, row: Row) -> Any:
    """Build a model with random weights and capture it at the smallest size it runs at."""
    from modellego.capture import capture

    out = row.values
    model, shapes = build(job)
    out["parameters"] = numel(model)
    reference().randomise(model)
    large = out["parameters"] > LARGE
    out["dtype"] = "float32, compared in float64" if large else "float64"
    if not large:
        model = model.to(DTYPE)
    for i, shape in enumerate(shapes):
        out["input"] = list(shape)
        try:
            settle_norms(model, shape)
        except Exception:
            if i + 1 < len(shapes):
                continue  # too small an image for this model
        with row.timed("capture"):
            return capture(model, shape)
    raise AssertionError("no input size to try")


def note(out: dict[str, Any], network: Any, channels: Any) -> None:
    """Write down what the analysis found."""
    from modellego.capture.ops import op_name

    ops = {op_name(n.target) for n in network.graph.graph.nodes if n.op == "call_function"}
    layers = {type(m).__name__ for m in network.graph.modules() if m is not network.graph and not list(m.children())}
    out["ops"] = sorted(o.removeprefix("aten.") for o in ops if o) + sorted(layers - {"Module"})
    summary = channels.summary()
    out["groups"], out["cuttable_groups"] = summary["groups"], summary["cuttable_groups"]
    out["share"] = round(summary["cuttable_channels"] / max(summary["channels"], 1), 4)
    out["exact"] = not channels.approximate
    out["by_definition"] = sorted(set(channels.approximate.values()))
    out["whole"] = {r: list(channels.pinned.values()).count(r) for r in sorted(set(channels.pinned.values()))}


def halves(network: Any, channels: Any, row: Row) -> Any:
    """Keep the half of every tensor's cuttable groups that contributes most to two classes, two images each."""
    from modellego.contribution.relevance import group_scores, plan_flow, relevance
    from modellego.contribution.stream import class_sums
    from modellego.cut import rescue
    from modellego.locate.costs import CostModel
    from modellego.locate.curve import families

    dtype = next(p.dtype for p in network.graph.parameters() if p.is_floating_point())
    samples = [(c, [torch.randn(2, *network.input_shape, dtype=dtype)]) for c in WANTED[:2]]
    scores = np.zeros(channels.n_groups)
    with row.timed("contribution"):
        flow = plan_flow(network, channels)
        for label, sums in class_sums(network, samples, channel_map=channels):
            found = relevance(flow, channels, sums, label)
            scores = np.maximum(scores, group_scores(channels, found))
    if not (np.isfinite(scores).all() and 0.5 < scores.max() <= 1.0):
        raise AssertionError(f"relative contributions between {scores.min():.3g} and {scores.max():.3g}")
    with row.timed("locate"):
        keep = channels.keep_all()
        alone: list[int] = []
        for family in families(channels):
            order = family[np.argsort(scores[family], kind="stable")]
            keep[order[: len(order) // 2]] = False
            alone += [] if len(order) > 1 else order.tolist()
        alone.sort(key=lambda s: scores[s])
        keep[alone[: len(alone) // 2]] = False
        keep, _ = rescue(channels, keep, scores)
        costs = CostModel(network, channels, WANTED)
        out = row.values
        out["groups_kept"] = round(float(keep[channels.cuttable].mean()), 4) if channels.cuttable.any() else 1.0
        out["macs_kept"] = round(costs.macs(keep) / max(costs.macs(channels.keep_all()), 1), 4)
    return keep


def child(job: str, pipe: Any, limit_gib: float) -> None:
    """Fill a model's row and report it: at the start of every stage, as if it failed there, and at the end."""
    resource.setrlimit(resource.RLIMIT_DATA, (int(limit_gib * 2**30),) * 2)
    warnings.filterwarnings("ignore")
    start = time.perf_counter()
    row = Row({"model": job, "kind": kind_of(job), "form": FORM, "seed": SEED}, pipe.send)
    try:
        measure(job, row)
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        row.values["error"] = f"{row.stage}: {type(error).__name__}: {str(error).strip()[:400]}"
        row.values["error_at"] = f"{Path(where.filename).name}:{where.lineno}"
    row.values["wall_s"] = round(time.perf_counter() - start, 1)
    pipe.send({**row.values, "done": True})


def run_one(job: str, timeout: float, limit_gib: float) -> dict[str, Any]:
    """Return a model's row, worked out in a process of its own."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=child, args=(job, theirs, limit_gib))
    process.start()
    theirs.close()
    end = time.monotonic() + timeout
    row: dict[str, Any] = {"model": job, "kind": kind_of(job), "form": FORM, "error": "build: "}
    while "done" not in row:
        if not ours.poll(max(0.0, end - time.monotonic())):
            row["error"] += f"took more than {timeout:.0f} s in all"
            break
        try:
            row = ours.recv()
        except EOFError:
            row["error"] += "the process died (out of memory?)"
            break
    process.kill()
    process.join()
    row.pop("done", None)
    return row


def load_all() -> None:
    """Load, once for all children, what torch.export and numba need, and the package's code as it is now."""
    import modellego.brick
    import modellego.channels
    import modellego.cut
    import modellego.locate.curve  # noqa: F401
    from modellego.capture import capture
    from modellego.contribution.stream import class_sums

    model = nn.Sequential(nn.Conv2d(3, 256, 3), nn.Conv2d(256, 64, 3), nn.Flatten(), nn.Linear(64 * 16, 2))
    for dtype in (torch.float32, DTYPE):
        list(class_sums(capture(model.to(dtype), (3, 8, 8)), [(0, [torch.rand(1, 3, 8, 8, dtype=dtype)])]))


def options(parser: argparse.ArgumentParser) -> None:
    """Declare which models, and what each may take."""
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--failed", action="store_true", help="run again what failed")
    parser.add_argument("--again", action="store_true", help="run again what is there already")
    parser.add_argument("--only", nargs="*", help="models (parts of their names)")
    parser.add_argument("--kind", nargs="*", help="only models of these kinds (torchvision, cnn, ...)")
    parser.add_argument("--timeout", type=float, default=1200)
    parser.add_argument("--memory", type=float, default=12, help="GiB a process")
    parser.add_argument("--families", action="store_true", help="only look for timm's families anew")


def run(run: Run) -> None:
    """Take each model apart in a process of its own; first those that never passed."""
    torch.set_num_threads(1)
    keep_alive = declare_torchvision_ops()
    import timm  # noqa: F401

    if run.own["families"]:
        find_families()
        return
    rows, jobs = run.record.document["rows"], all_jobs()
    if run.own["only"]:
        jobs = [j for j in jobs if any(o in j for o in run.own["only"])]
    if run.own["kind"]:
        jobs = [j for j in jobs if kind_of(j) in run.own["kind"]]
    if run.own["failed"]:
        jobs = [j for j in jobs if "error" in rows.get(j, {})]
    elif not run.own["again"]:
        jobs = [j for j in jobs if rows.get(j, {}).get("form") != FORM]
        jobs.sort(key=lambda j: "form" in rows.get(j, {}) and "error" not in rows[j])
    load_all()

    def work(job: str) -> None:
        row = run_one(job, run.own["timeout"], run.own["memory"])
        run.record.put(job, row, row.get("wall_s", 0.0))

    ThreadPool(run.own["jobs"]).map(work, jobs, chunksize=1)
    del keep_alive


EXPERIMENT = Experiment(
    title="Which models can be taken apart",
    run=run,
    section=page,
    measures=("capture", "channels", "contribution", "cut", "brick"),
    options=options,
    settings=lambda run: {"seed": SEED, "tolerance": TOLERANCE, "seconds": MOST_SECONDS, "megabytes": MOST_MB},
    page="coverage.md",
)
