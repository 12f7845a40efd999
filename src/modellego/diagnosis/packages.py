"""The packages that modellego uses: what it cannot do without, and what each extra brings (as in pyproject.toml)."""

from typing import NamedTuple


class Wanted(NamedTuple):
    """A distribution, the name by which it is imported, and the least version."""

    distribution: str
    module: str
    least: str


CORE = (
    Wanted("torch", "torch", "2.11"),
    Wanted("numpy", "numpy", "1.26"),
    Wanted("scipy", "scipy", "1.11"),
    Wanted("scikit-learn", "sklearn", "1.4"),
    Wanted("safetensors", "safetensors", "0.4"),
    Wanted("pydantic", "pydantic", "2.6"),
    Wanted("pillow", "PIL", "10"),
    Wanted("pyarrow", "pyarrow", "15"),
    Wanted("pyyaml", "yaml", "6"),
    Wanted("typer", "typer", "0.12"),
    Wanted("rich", "rich", "13"),
)
EXTRAS = {
    "fast": (Wanted("numba", "numba", "0.60"),),
    "plot": (Wanted("matplotlib", "matplotlib", "3.8"),),
    "hub": (Wanted("datasets", "datasets", "3"), Wanted("huggingface-hub", "huggingface_hub", "0.30")),
    "timm": (Wanted("timm", "timm", "1.0"),),
    "hf": (Wanted("transformers", "transformers", "4.50"),),
    "torchvision": (Wanted("torchvision", "torchvision", "0.20"),),
    "graph": (Wanted("torch-geometric", "torch_geometric", "2.6"),),
    "benchmark": (Wanted("torch-pruning", "torch_pruning", "1.6"),),
    "export": (
        Wanted("onnx", "onnx", "1.16"),
        Wanted("onnxscript", "onnxscript", "0.1"),
        Wanted("onnxruntime", "onnxruntime", "1.20"),
    ),
}
