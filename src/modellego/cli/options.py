"""The options that several commands share, declared once."""

from pathlib import Path
from typing import Annotated, Any

import typer

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else on stdout.")]
ForceFlag = Annotated[bool, typer.Option("--force", help="Replace what exists at the output path.")]
DataOption = Annotated[
    list[str],
    typer.Option(
        "--data", help="A folder of class folders, parquet shards, 'digits', or a hub's data-set name; repeatable."
    ),
]
OptionalData = Annotated[
    list[str] | None,
    typer.Option(
        "--data", help="A folder of class folders, parquet shards, 'digits', or a hub's data-set name; repeatable."
    ),
]
TestDataOption = Annotated[
    list[str] | None,
    typer.Option("--test-data", help="Images to score on, where --data has no test part of its own."),
]
MapOption = Annotated[
    list[str] | None, typer.Option("--map", help="LABEL=CLASS: which class of the model a label of the data means.")
]
WeightsOption = Annotated[
    str | None, typer.Option(help="Weights file (safetensors or a torch state dict); 'random' for none.")
]
InputSizeOption = Annotated[str | None, typer.Option(help="Input size in pixels: 32, or HEIGHTxWIDTH.")]
ChannelsOption = Annotated[int | None, typer.Option(help="Input channels: 1 or 3.")]
MeanOption = Annotated[str | None, typer.Option(help="Mean a channel, of images in [0,1]: 0.49,0.48,0.45.")]
StdOption = Annotated[str | None, typer.Option(help="Standard deviation a channel, of images in [0,1].")]
ClassNamesOption = Annotated[str | None, typer.Option(help="Class names: a file (one a line, or JSON) or a,b,c.")]
LogitsOption = Annotated[
    str | None, typer.Option(help="Key or position of the logits in what the model returns, if not a tensor.")
]
SeedOption = Annotated[int, typer.Option(help="Seed of everything random.")]
OutOption = Annotated[Path, typer.Option("--out", "-o", help="Where to write.")]
RejectFlag = Annotated[
    bool, typer.Option("--reject", help='Let the model say "none of these" of images it is not sure of.')
]
RejectKeepOption = Annotated[
    float | None, typer.Option("--reject-keep", help="With --reject: share of its own images still answered (0.95).")
]
RejectByOption = Annotated[
    str | None,
    typer.Option("--reject-by", help="With --reject: energy, max_logit, max_probability or margin (energy)."),
]


def allocation_rule(rule: str) -> str:
    """Return the rule of the relative contribution that `--rule` names.

    Raises:
        LegoError: there is no such rule.
    """
    from modellego.errors import LegoError

    if rule not in ("poster", "back_to_front"):
        raise LegoError(f"--rule is poster or back_to_front, not {rule}")
    return rule


def reject_rule(reject: bool, keep: float | None, by: str | None) -> dict[str, Any]:
    """Return what the three reject options ask for, as arguments of the verbs; empty without `--reject`.

    Raises:
        LegoError: an option that goes with `--reject` stands alone, or says what there is not.

    >>> reject_rule(True, None, None)
    {'reject': 0.95, 'reject_by': 'energy'}
    """
    from modellego.errors import LegoError
    from modellego.rejection.rule import KEEP, STATISTIC, check_rule

    if not reject:
        for option, given in (("keep", keep), ("by", by)):
            if given is not None:
                raise LegoError(f"--reject-{option} goes with --reject: add it")
        return {}
    share, statistic = KEEP if keep is None else keep, by or STATISTIC
    check_rule(share, statistic)
    return {"reject": share, "reject_by": statistic}
