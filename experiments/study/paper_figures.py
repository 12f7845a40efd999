"""The paper's own figures (NeurIPS 2024), accuracy in per cent, that ours stand beside."""

from dataclasses import dataclass

NETWORKS = ("VGG-16", "ResNet-50", "GoogLeNet")
ZOO = {"vgg16": "VGG-16", "vgg16_bn": "VGG-16", "resnet50": "ResNet-50", "googlenet": "GoogLeNet"}


@dataclass(frozen=True)
class Task:
    """A task: classes of a data set, `0-2`."""

    dataset: str
    classes: str

    @property
    def key(self) -> str:
        """Return what rows are called after the task.

        >>> Task("cifar10", "0-2").key
        'cifar10 0-2'
        """
        return f"{self.dataset} {self.classes}"


TASKS = (
    *(Task("cifar10", c) for c in ("0", "1", "0-2", "3-9")),
    *(Task("cifar100", c) for c in ("0", "1", "0-19", "20-69")),
)

# task: (base, disassembled) of each network
DISASSEMBLED: dict[str, tuple[tuple[float, float], ...]] = {
    "cifar10 0": ((94.40, 100), (96.10, 100), (95.40, 100)),
    "cifar10 1": ((96.50, 100), (96.20, 100), (97.40, 100)),
    "cifar10 0-2": ((93.87, 95.47), (94.93, 97.43), (94.47, 98.17)),
    "cifar10 3-9": ((92.49, 92.27), (93.81, 94.46), (93.46, 93.17)),
    "cifar100 0": ((84, 100), (92, 100), (90, 100)),
    "cifar100 1": ((87, 100), (87, 100), (85, 100)),
    "cifar100 0-19": ((71.05, 82.50), (75.55, 77.15), (75.90, 87.55)),
    "cifar100 20-69": ((72.74, 79.66), (77.68, 79.72), (76.60, 82.42)),
}

PAIRS: dict[str, tuple[Task, Task]] = {
    "C10 0 + C100 0": (Task("cifar10", "0"), Task("cifar100", "0")),
    "C10 0-2 + C100 0-19": (Task("cifar10", "0-2"), Task("cifar100", "0-19")),
    "C10 3-9 + C100 20-69": (Task("cifar10", "3-9"), Task("cifar100", "20-69")),
    "C10 0-9 + C100 20-99": (Task("cifar10", "0-9"), Task("cifar100", "20-99")),
}

# pair: (base, score 1, score 2) of each network; a base with a star in the paper, which is not the mean, is left out
ASSEMBLED: dict[str, tuple[tuple[float | None, float, float], ...]] = {
    "C10 0 + C100 0": ((89.20, 87.00, 88.43), (94.05, 77.30, 87.36), (None, 94.25, 95.27)),
    "C10 0-2 + C100 0-19": ((74.03, 74.17, 74.19), (78.08, 64.34, 76.37), (78.32, 79.22, 79.22)),
    "C10 3-9 + C100 20-69": ((75.16, 73.72, 74.25), (79.66, 72.03, 75.25), (78.67, 70.24, 76.37)),
    "C10 0-9 + C100 20-99": ((74.87, 72.07, 73.18), (79.54, 65.97, 74.65), (78.57, 66.59, 70.36)),
}
