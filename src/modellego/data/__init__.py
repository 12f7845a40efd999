"""Labelled images: readers for folders, parquet, public hubs and the embedded digits; class names."""

from modellego.data.classes import match_labels, near, parse_mapping, resolve_classes
from modellego.data.decode import image_files, load_image
from modellego.data.images import ImageSet, merged
from modellego.data.load import Data, DataLike, load_data

__all__ = [
    "Data",
    "DataLike",
    "ImageSet",
    "image_files",
    "load_data",
    "load_image",
    "match_labels",
    "merged",
    "near",
    "parse_mapping",
    "resolve_classes",
]
