"""The options that several commands share, declared once."""

from pathlib import Path
from typing import Annotated

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
