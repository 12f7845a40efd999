"""Which run a checkpoint is of: what its result depends on, so that no other run goes on from it."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from modellego import __version__
from modellego.brick import Brick
from modellego.brick.fingerprint import brick_fingerprint
from modellego.data import Data, ImageSet
from modellego.data.store import as_store
from modellego.disassembly.options import CutOptions
from modellego.errors import FormatError

Identity = dict[str, str]


def identify(whole: Brick, data: Data, classes: object, mapping: object, options: CutOptions) -> Identity:
    """Return what a cut depends on: model, data, options and versions, each as a digest; empty what cannot be told."""
    parts = [data.train, data.test]
    if options.refit_data is not None:
        store = as_store(options.refit_data)
        parts.append(ImageSet.of(store, [0] * len(store), ["?"]))
    prints = ["none" if part is None else part.fingerprint() for part in parts]
    source = brick_fingerprint(whole)
    plain = replace(options, refit_data=None, samples=replace(options.samples, cache=True))
    return {
        "model": "" if source is None else _digest(source, whole.info.model_dump_json()),
        "data": "" if None in prints else _digest(prints, data.classes),
        "options": _digest(plain, classes, mapping),
        "versions or threads": _digest(__version__, torch.__version__, torch.get_num_threads()),
    }


def check_same(file: Path, ours: Identity, theirs: Mapping[str, object]) -> None:
    """Refuse to go on from the checkpoint of another run.

    Raises:
        FormatError: something that the result depends on differs, or cannot be told.
    """
    unlike = [name for name, digest in ours.items() if not digest or theirs.get(name) != digest]
    if unlike:
        raise FormatError(
            f"the checkpoint {file} is of another run (its {unlike[0]} differ): resume with the same model, data and "
            "options, or start over without resume"
        )


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()
