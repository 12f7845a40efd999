"""ONNX: write a served brick, let `onnx.checker` look at it, run it with ONNX Runtime, quantise it to int8."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modellego.errors import ExportError, MissingExtraError
from modellego.exporting.served import OUTPUTS, Served

OPSET = 20


def need_onnx() -> None:
    """Refuse early where the extra is not installed.

    Raises:
        MissingExtraError: onnx, onnxscript or onnxruntime is missing.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        if find_spec(package) is None:
            raise MissingExtraError(package, "export")


def write_onnx(served: Served, images: Tensor, path: Path, told: dict[str, str]) -> int:
    """Write one self-contained file with a dynamic batch axis, and return its opset.

    `images` `[2 or more, c, h, w]` fix the image size; `told` becomes the file's metadata.

    Raises:
        ExportError: the exporter cannot translate an op of the network, or `onnx.checker` finds fault.
    """
    import onnx

    names = list(OUTPUTS if served.rule is not None else OUTPUTS[:1])
    try:
        with _quiet():
            program = torch.onnx.export(
                served,
                (images,),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                input_names=["images"],
                output_names=names,
                opset_version=OPSET,
                verbose=False,
            )
    except Exception as error:  # the exporter has no error of its own; whatever it says is about an op
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ExportError(f"this model cannot be written as ONNX: {first.strip()}") from error
    assert program is not None
    model = program.model_proto
    for key, value in told.items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, str(path))
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except onnx.checker.ValidationError as error:
        raise ExportError(f"the ONNX file is not valid: {error}") from error
    return int(next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's own progress and warnings off the terminal: what matters is raised."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


class Session:
    """An ONNX file under ONNX Runtime on the CPU."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self.inner: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        """Run images `[B, c, h, w]` and return all outputs."""
        found = self.inner.run(None, {"images": images.detach().numpy()})
        return tuple(torch.from_numpy(np.asarray(array)) for array in found)


def write_int8(source: Path, path: Path, batches: list[Tensor]) -> None:
    """Quantise an ONNX file to int8 by ONNX Runtime's own static quantisation, calibrated on image batches.

    Weights are int8 per channel, activations uint8: what x86 and Arm kernels are fastest at. Source: ONNX Runtime's
    documentation, "Quantize ONNX models", QDQ form.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class CalibrationBatches(CalibrationDataReader):  # type: ignore[misc]
        """Hands the calibration images over one batch after the other."""

        def __init__(self) -> None:
            self.left: list[NDArray[np.float32]] = [batch.numpy() for batch in batches]

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            """Return the next batch by the input's name, None behind the last."""
            return {"images": self.left.pop(0)} if self.left else None

    ready = path.with_suffix(".ready.onnx")
    try:
        with _quiet():
            quant_pre_process(str(source), str(ready), skip_symbolic_shape=True)
            quantize_static(
                str(ready),
                str(path),
                CalibrationBatches(),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                weight_type=QuantType.QInt8,
                activation_type=QuantType.QUInt8,
            )
    finally:
        ready.unlink(missing_ok=True)
