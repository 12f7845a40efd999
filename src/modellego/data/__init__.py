"""Labelled images: readers for folders, parquet, public hubs and the embedded digits; class names."""

from modellego.data.classes import Target, near, resolve_classes, resolve_targets
from modellego.data.decode import image_files, load_image
from modellego.data.images import ImageSet, merged
from modellego.data.labels import (
    MappingLike,
    Matching,
    TwoClassesError,
    Vocabulary,
    match,
    match_labels,
    parse_mapping,
    read_mapping,
)
from modellego.data.load import Data, DataLike, load_data

__all__ = [
    "Data",
    "DataLike",
    "ImageSet",
    "MappingLike",
    "Matching",
    "Target",
    "TwoClassesError",
    "Vocabulary",
    "image_files",
    "load_data",
    "load_image",
    "match",
    "match_labels",
    "merged",
    "near",
    "parse_mapping",
    "read_mapping",
    "resolve_classes",
    "resolve_targets",
]
