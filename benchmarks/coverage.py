"""Take every classifier of torchvision and one model of every timm family apart, one row a model, into a JSON list.

Run `python benchmarks/coverage.py` (again, to resume; `--failed` repeats what failed; `--only NAME ...`; `--jobs N`
or `--shard i/n` share the work). Each model runs in a process of its own with a time and a memory limit.
"""

import argparse
import fcntl
import importlib.util
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "coverage.json"
FAMILIES = HERE / "timm_families.json"
WANTED = [5, 0, 3, *range(10, 40)]
SHARE = 0.5
DTYPE = torch.float64
TOLERANCE = 1e-8
LARGE = 200_000_000  # parameters above which a model is captured in float32, then taken to float64


def declare_torchvision_ops() -> Any:
    """Declare the two schemas that torchvision's wheel expects beside a CPU-only torch."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


def reference() -> Any:
    spec = importlib.util.spec_from_file_location("reference_masked", HERE.parent / "tests" / "reference_masked.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def all_jobs() -> list[str]:
    import torchvision

    families = json.loads(FAMILIES.read_text())
    by_size = sorted(families.values(), key=lambda f: (f["kind"] != "cnn", f["parameters"]))
    names = [f"timm:{f['model']}" for f in by_size]
    models = torchvision.models

    def size(name: str) -> int:
        return int(models.get_model_weights(name).DEFAULT.meta["num_params"])

    return names + [f"torchvision:{n}" for n in sorted(models.list_models(module=models), key=size)]


def build(job: str) -> tuple[nn.Module, list[tuple[int, ...]]]:
    """Build a model with random weights, and the input shapes to try, the smallest first."""
    library, _, name = job.partition(":")
    if library == "timm":
        import timm

        model = timm.create_model(name)
        config = model.default_cfg
        full = tuple(config["input_size"])
        least = config.get("min_input_size")
        small = (full[0], 96, 96) if not config.get("fixed_input_size") else full
        sizes = [small, full] if least is None else [(full[0], *least[1:]), full]
        return model, list(dict.fromkeys(sizes))
    import torchvision

    model = torchvision.models.get_model(name, weights=None)
    full_size = {"inception_v3": 299, "swin_v2_t": 256}.get(name, 224)
    return model, [(3, 96, 96), (3, full_size, full_size)]


def high_water(reset: bool = False) -> int:
    """Return the peak resident memory in bytes since the last reset (Linux)."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) * 1024


def numel_bytes(module: nn.Module) -> int:
    return sum(t.numel() * t.element_size() for t in (*module.parameters(), *module.buffers()))


def measure(job: str, row: dict[str, Any]) -> None:
    """Fill the row of one model step by step, so that what was known before a failure stays."""
    from modellego.brick import Brick, BrickInfo, load, save
    from modellego.capture import capture
    from modellego.capture.network import annotate
    from modellego.capture.ops import op_name
    from modellego.channels import analyse
    from modellego.cut import cut

    ref = reference()
    torch.manual_seed(0)
    model, shapes = build(job)
    row["parameters"] = sum(p.numel() for p in model.parameters())
    large = row["parameters"] > LARGE
    ref.randomise(model)
    if not large:
        model = model.to(DTYPE)
    for i, shape in enumerate(shapes):
        row["input"] = list(shape)
        start = time.perf_counter()
        try:
            network = capture(model, shape)
            break
        except Exception as error:
            if i + 1 == len(shapes) or "does not run on an input" not in str(error):
                raise
    row["capture_s"] = round(time.perf_counter() - start, 2)
    del model
    if large:
        network = annotate(network.graph.to(DTYPE), network.input_shape)
    ops = {op_name(n.target) for n in network.graph.graph.nodes if n.op == "call_function"}
    layers = {type(m).__name__ for m in network.graph.modules() if not list(m.children())}
    row["ops"] = sorted(o.removeprefix("aten.") for o in ops if o) + sorted(layers)
    high_water(reset=True)
    before = high_water()
    start = time.perf_counter()
    channels = analyse(network)
    row["analysis_s"] = round(time.perf_counter() - start, 3)
    summary = channels.summary()
    row["sets"], row["cuttable_sets"] = summary["sets"], summary["cuttable_sets"]
    row["share"] = round(summary["cuttable_channels"] / max(summary["channels"], 1), 4)
    row["exact"] = not channels.approximate
    row["by_definition"] = sorted(set(channels.approximate.values()))
    row["whole"] = {r: list(channels.pinned.values()).count(r) for r in sorted(set(channels.pinned.values()))}
    keep = ref.random_keep(channels, SHARE)
    start = time.perf_counter()
    small = cut(network, channels, keep, WANTED)
    row["cut_s"] = round(time.perf_counter() - start, 3)
    row["memory_mb"] = round((high_water() - before - numel_bytes(small.graph)) / 1e6)
    row["parameters_kept"] = round(sum(p.numel() for p in small.graph.parameters()) / max(row["parameters"], 1), 4)
    images = torch.randn(2, *network.input_shape, dtype=DTYPE)
    expected = ref.masked_reference(network, channels, keep, WANTED)(images)
    with torch.no_grad():
        found = small.graph(images)
    row["spread"] = ref.relative_error(expected[0], expected[1])
    row["error_relative"] = ref.relative_error(found, expected)
    if not row["error_relative"] <= TOLERANCE:
        raise AssertionError(f"relative error {row['error_relative']:.1e} against the masked reference")
    if not row["spread"] > 1e-6:
        raise AssertionError("the logits do not depend on the image: nothing was compared")
    del network, channels
    with tempfile.TemporaryDirectory() as folder:
        info = BrickInfo(classes=tuple(map(str, WANTED)), input_shape=small.input_shape)
        save(Brick(small.graph, info), Path(folder) / "x.brick")
        del small
        with torch.no_grad():
            again = load(Path(folder) / "x.brick")(images)
    row["reload_ok"] = bool(ref.relative_error(again, found) < 1e-12)
    if not row["reload_ok"]:
        raise AssertionError("the reloaded brick computes something else")


def child(job: str, pipe: Any, limit_gib: float) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (int(limit_gib * 2**30),) * 2)
    warnings.filterwarnings("ignore")
    row: dict[str, Any] = {"model": job}
    try:
        measure(job, row)
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        row["error"] = f"{type(error).__name__}: {str(error).strip()[:400]}"
        row["error_at"] = f"{Path(where.filename).name}:{where.lineno}"
    pipe.send(row)


def run_one(job: str, timeout: float, limit_gib: float) -> dict[str, Any]:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=child, args=(job, theirs, limit_gib))
    process.start()
    theirs.close()
    try:
        row: dict[str, Any] = (
            ours.recv() if ours.poll(timeout) else {"model": job, "error": f"took more than {timeout:.0f} s"}
        )
    except EOFError:
        row = {"model": job, "error": "the process died (out of memory?)"}
    process.kill()
    process.join()
    return row


def update(row: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """Put a row into the results, under a lock, and return all rows by model."""
    RESULTS.parent.mkdir(exist_ok=True)
    with open(RESULTS.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        rows = {r["model"]: r for r in json.loads(RESULTS.read_text())} if RESULTS.exists() else {}
        if row is not None:
            rows[row["model"]] = row
            text = json.dumps(sorted(rows.values(), key=lambda r: r["model"]), indent=1)
            partial = RESULTS.with_suffix(".part")
            partial.write_text(text + "\n")
            os.replace(partial, RESULTS)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shard", default="0/1", help="i/n: every n-th model from the i-th")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--failed", action="store_true", help="run again what failed")
    parser.add_argument("--again", action="store_true", help="run again what is there already")
    parser.add_argument("--only", nargs="*", help="models (parts of their names)")
    parser.add_argument("--timeout", type=float, default=600)
    parser.add_argument("--memory", type=float, default=12, help="GiB a process")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_alive = declare_torchvision_ops()
    import timm  # noqa: F401

    from modellego.capture import capture

    capture(nn.Linear(2, 2), (2,))  # loads what torch.export needs, once for all children
    jobs = all_jobs()
    if options.only:
        jobs = [j for j in jobs if any(o in j for o in options.only)]
    index, count = (int(v) for v in options.shard.split("/"))
    jobs = jobs[index::count]
    rows = update()
    if options.failed:
        jobs = [j for j in jobs if "error" in rows.get(j, {})]
    elif not options.again:
        jobs = [j for j in jobs if j not in rows]

    def work(job: str) -> None:
        row = run_one(job, options.timeout, options.memory)
        update(row)
        print(job, row.get("error", f"ok {row.get('error_relative', 0):.0e}"), flush=True)

    if options.jobs > 1:
        from multiprocessing.pool import ThreadPool

        ThreadPool(options.jobs).map(work, jobs, chunksize=1)
    else:
        for job in jobs:
            work(job)
    rows = update()
    failed = [m for m, r in rows.items() if "error" in r]
    print(f"{len(rows)} models, {len(failed)} failed: {', '.join(failed)}")
    del keep_alive


if __name__ == "__main__":
    sys.exit(main())
