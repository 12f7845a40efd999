"""Time and memory of channel analysis and cut on VGG-16 and DenseNet-121 at 224 x 224, into a JSON file."""

import gc
import json
import time

import torch

from coverage import high_water, numel_bytes, reference
from coverage_models import HERE, declare_torchvision_ops
from modellego.capture import capture
from modellego.channels import analyse
from modellego.cut import cut, plan_cut


def main() -> None:
    keep_alive = declare_torchvision_ops()
    import torchvision

    rows = []
    for name in ("vgg16", "densenet121", "resnet50"):
        network = capture(torchvision.models.get_model(name, weights=None), (3, 224, 224))
        gc.collect()
        high_water(reset=True)
        before, start, cpu = high_water(), time.perf_counter(), time.process_time()
        channels = analyse(network)
        row = {"model": name, "threads": torch.get_num_threads()}
        row |= {"analysis_s": time.perf_counter() - start, "analysis_cpu_s": time.process_time() - cpu}
        row |= {"analysis_mb": (high_water() - before) / 1e6}
        keep = reference().random_keep(channels, 0.5)
        start, cpu = time.perf_counter(), time.process_time()
        small = cut(plan_cut(network, channels, keep, [0, 1, 2]))
        row |= {"cut_s": time.perf_counter() - start, "cut_cpu_s": time.process_time() - cpu}
        row |= {"cut_mb": (high_water() - before - numel_bytes(small.graph)) / 1e6}
        rows.append({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()})
        print(rows[-1], flush=True)
    (HERE / "results" / "analysis_speed.json").write_text(json.dumps(rows, indent=1) + "\n")
    del keep_alive


if __name__ == "__main__":
    main()
