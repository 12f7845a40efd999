"""The models of the coverage benchmark: which there are, of what kind, and each built with random weights."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

HERE = Path(__file__).resolve().parent
FAMILIES = HERE / "timm_families.json"
FORM = 3  # what a row holds; rows of another form are run again
GIANT = 100_000_000  # parameters above which a model of torchvision waits for the smaller ones


def families() -> dict[str, dict[str, Any]]:
    """Return timm's families by module: the smallest model, and whether they are CNNs."""
    found: dict[str, dict[str, Any]] = json.loads(FAMILIES.read_text())
    return found


def declare_torchvision_ops() -> Any:
    """Declare the two schemas that torchvision's wheel expects beside a CPU-only torch."""
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    return library


def all_jobs() -> list[str]:
    """Return all models: torchvision's but for its giants, timm's CNN families, the giants, timm's other families."""
    import torchvision

    models = torchvision.models
    sizes = {n: models.get_model_weights(n).DEFAULT.meta["num_params"] for n in models.list_models(module=models)}
    ordered = sorted(sizes, key=lambda n: int(sizes[n]))
    timm = sorted(families().values(), key=lambda f: int(f["parameters"]))
    return [
        *(f"torchvision:{n}" for n in ordered if sizes[n] <= GIANT),
        *(f"timm:{f['model']}" for f in timm if f["kind"] == "cnn"),
        *(f"torchvision:{n}" for n in ordered if sizes[n] > GIANT),
        *(f"timm:{f['model']}" for f in timm if f["kind"] != "cnn"),
    ]


@cache
def kind_of(job: str) -> str:
    """Return `torchvision`, or the kind of a timm family: `cnn`, `hybrid`, `transformer`, `mlp`."""
    library, _, name = job.partition(":")
    kinds = {f["model"]: str(f["kind"]) for f in families().values()}
    return library if library == "torchvision" else kinds[name]


def build(job: str) -> tuple[nn.Module, list[tuple[int, ...]]]:
    """Build a model with random weights, and the input shapes to try, the smallest first."""
    library, _, name = job.partition(":")
    if library == "timm":
        import timm

        model: Any = timm.create_model(name)
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


def settle_norms(model: nn.Module, shape: tuple[int, ...]) -> None:
    """Give batch norms the statistics of random images and moderate gains: as in a trained model, signals stay small.

    Where they explode, gates amplify rounding by orders of magnitude, and nothing can be compared.
    """
    dtype = next(p.dtype for p in model.parameters() if p.is_floating_point())
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    momenta = [m.momentum for m in norms]
    try:
        for m in norms:
            m.momentum = 1.0
            m.train()
            if m.affine:
                m.weight.data *= 0.5
        with torch.no_grad():
            model(torch.randn(8 if norms else 1, *shape, dtype=dtype))
    finally:
        for m, momentum in zip(norms, momenta, strict=True):
            m.momentum = momentum
            m.eval()
            if m.running_var is not None:
                m.running_var.clamp_(min=0.2 * m.running_var.mean().clamp(min=1e-6))


def smallest(module: str) -> dict[str, Any] | None:
    """Return the name and the number of parameters of a family's smallest model."""
    import timm

    best: dict[str, Any] | None = None
    for name in timm.list_models(module=module):
        try:
            with torch.device("meta"):
                count = sum(p.numel() for p in timm.create_model(name).parameters())
        except Exception as error:
            print(f"{name}: {error}")
            continue
        if best is None or count < best["parameters"]:
            best = {"model": name, "parameters": count}
    return best


def find_families() -> None:
    """Write timm_families.json: the smallest model of every timm family, counted on the meta device.

    `kind` and `reason` (which families are CNNs) are written by hand; new families come as "unknown" until someone
    looks.
    """
    import timm

    known = families()
    found = {}
    for module in timm.list_modules():
        model = smallest(module)
        if model is not None:
            found[module] = {**known.get(module, {"kind": "unknown", "reason": ""}), **model}
    FAMILIES.write_text(json.dumps(found, indent=1) + "\n")
