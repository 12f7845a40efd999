"""The options that several commands share, each declared once, in groups (see `groups.with_groups`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from modellego.cli.help import panel

BUDGET, SAMPLES = panel("Budget"), panel("Sample images")
THRESHOLDS, REFIT = panel("Thresholds, where there is no budget"), panel("Refit")
SOURCE, REJECTION, CALIBRATION = panel("Source model"), panel('"None of these"'), panel("Calibration")
TRAINING, RUN, MORE = panel("Training"), panel("Run"), panel("More")
RULE_HELP = (
    "How relative contribution is computed: poster (from all output channels, as in the paper) or back_to_front "
    "(only from output channels already found relevant, as in the paper's software)."
)
DATA_HELP = "A folder of class folders, parquet shards, 'digits', or a hub's data-set name; repeatable."
MapOption = Annotated[
    list[str] | None,
    typer.Option(
        "--map", metavar="LABEL=CLASS", help="Which class of the model a label of the data means; nothing for none."
    ),
]
ClassMap = Annotated[
    Path | None,
    typer.Option("--class-map", metavar="FILE", help="A file of such pairs: a line each, or a JSON object."),
]
MaxBad = Annotated[
    int, MORE(min=0, help="Leave out up to so many images that cannot be read, and name them; 0: refuse.")
]
TestDataOption = Annotated[
    list[str] | None,
    typer.Option("--test-data", metavar="DATA", help="Images to score on, where --data has no test part of its own."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace what exists at the output path.")]
Seed = Annotated[int, MORE(help="Seed of all random choices.")]
Classes = Annotated[str, typer.Option(help="Classes of the task: 0-2,7 or names; cat=281-285 makes one of several.")]
MaybeClasses = Annotated[
    str | None, typer.Option(help="Classes of the task: 0-2,7 or names; cat=281-285 makes one of several.")
]
MostConfident = Annotated[int, SAMPLES(min=1, help="Sample images per class: those the model is most confident of.")]
Candidates = Annotated[
    int | None,
    SAMPLES(min=1, help="Look at so many images of a class at most for its sample images, drawn with --seed."),
]
Cache = Annotated[
    bool, SAMPLES(help="Keep what is found of sample images in the user's cache folder, and use it again.")
]
Criterion = Annotated[
    str | None,
    BUDGET(help="What ranks channels under a budget: reconstruction (by default), contribution, taylor, l1, ..."),
]
RefitImages = Annotated[int, REFIT(min=1, help="Images per class for the refit.")]


def _load_plugins(files: list[Path] | None) -> list[Path] | None:
    from modellego.plugins import load_plugin

    for file in files or []:
        load_plugin(file)
    return files


@dataclass(frozen=True, kw_only=True)
class _Labelled:
    """Labels of the data that mean a class of the model."""

    map_labels: MapOption = None
    class_map: ClassMap = None

    @property
    def mapping(self) -> Mapping[str, str | int]:
        """Data class name -> model class name."""
        from modellego.data import parse_mapping, read_mapping

        return read_mapping(self.class_map) | parse_mapping(self.map_labels or [])


@dataclass(frozen=True)
class Answer:
    """How a command answers."""

    plugin: Annotated[
        list[Path] | None,
        MORE(metavar="FILE", callback=_load_plugins, help="A Python file that registers criteria and more."),
    ] = None
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else on stdout.")] = False


@dataclass(frozen=True)
class Output:
    """Where a command writes."""

    path: Annotated[Path, typer.Option("--out", "-o", help="Where to write.")]
    force: Force = False


@dataclass(frozen=True)
class Plot:
    """A picture beside a table."""

    plot: Annotated[Path | None, typer.Option(help="Draw the curves to this PNG, SVG or PDF file.")] = None
    force: Force = False


@dataclass(frozen=True, kw_only=True)
class TrainImages(_Labelled):
    """Labelled images of which none is scored."""

    data: Annotated[list[str], typer.Option("--data", metavar="DATA", help=DATA_HELP)]
    max_bad: MaxBad = 0


@dataclass(frozen=True, kw_only=True)
class Images(TrainImages):
    """Labelled images, to choose from and to score on."""

    test_data: TestDataOption = None


@dataclass(frozen=True, kw_only=True)
class MaybeImages(_Labelled):
    """Labelled images for a command that can do without."""

    data: Annotated[list[str] | None, typer.Option("--data", metavar="DATA", help=DATA_HELP)] = None
    test_data: TestDataOption = None
    max_bad: MaxBad = 0


@dataclass(frozen=True)
class SourceOptions:
    """What is said about a source model beside its name; a brick knows it all."""

    weights: Annotated[
        str | None,
        SOURCE(help="Weights file (safetensors or a torch state dict); 'random' for untrained weights."),
    ] = None
    input_size: Annotated[str | None, SOURCE(help="Input size in pixels: 32, or HEIGHTxWIDTH.")] = None
    channels: Annotated[int | None, SOURCE(help="Input channels: 1 or 3.")] = None
    mean: Annotated[str | None, SOURCE(help="Mean per channel, of images in [0,1]: 0.49,0.48,0.45.")] = None
    std: Annotated[str | None, SOURCE(help="Standard deviation per channel, of images in [0,1].")] = None
    class_names: Annotated[str | None, SOURCE(help="Class names: a file (one per line or JSON) or a,b,c.")] = None
    logits: Annotated[
        str | None, SOURCE(help="Key or position of the logits in what the model returns, if not a tensor.")
    ] = None


def _check_device(name: str) -> str:
    if name == "auto":
        return name
    from modellego.devices import check_device

    return check_device(name)


@dataclass(frozen=True)
class Passes:
    """Where images pass through networks."""

    device: Annotated[
        str,
        RUN(
            metavar="DEVICE",
            callback=_check_device,
            help="Where networks run: cpu (auto), cuda, cuda:1 or mps.",
        ),
    ] = "auto"


@dataclass(frozen=True)
class Training:
    """What runs of training have in common."""

    flip: Annotated[bool, TRAINING(help="Mirror training images at random.")] = True
    shift: Annotated[int, TRAINING(help="Shift training images by up to this many pixels.")] = 4
    device: Annotated[str, RUN(help="auto, cpu, cuda, ...")] = "auto"
    checkpoint: Annotated[Path | None, RUN(help="Where to keep the checkpoint; by default beside the output.")] = None
    resume: Annotated[bool, RUN("--resume", help="Continue an interrupted run from its checkpoint.")] = False


@dataclass(frozen=True)
class RejectOptions:
    """When a model says "none of these"."""

    reject: Annotated[
        bool, REJECTION("--reject", help='Let the model say "none of these" of images it is not sure of.')
    ] = False
    reject_keep: Annotated[
        float | None, REJECTION(help="Share of its own images still answered, such as 0.95; implies --reject.")
    ] = None
    reject_by: Annotated[
        str | None, REJECTION(help="With --reject: energy, max_logit, max_probability or margin (energy).")
    ] = None

    @property
    def share(self) -> float | None:
        """The share of images to answer, None where nothing is to be turned away."""
        from modellego.rejection import KEEP

        return KEEP if self.reject and self.reject_keep is None else self.reject_keep


def nothing(word: str) -> str | None:
    """Return what an option names, and None for the word none.

    >>> nothing("none"), nothing("affine")
    (None, 'affine')
    """
    return None if word == "none" else word
