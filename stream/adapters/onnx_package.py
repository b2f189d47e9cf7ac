"""Model packages: read, checked and run by ONNX Runtime."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.errors import ModelError
from stream.core.features import Why, extract
from stream.core.golden import read_arrays
from stream.core.manifest import MAX_BYTES, SCORE_TOLERANCE, Manifest, Package, read_manifest
from stream.core.model_file import check_model

# From 1.29 on ONNX Runtime tells its maker of every process and model, as soon as it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

MAX_MODEL_BYTES = 200_000_000
MAX_MEMORY_BYTES = 2_000_000_000
"""Of all models of a process, with their weights and what they work in."""
BATCH = 256
"""Windows that go through a model at once. As fast as 64, and the interpreter's lock, for which
other threads may have to be waited, is asked for a quarter as often."""
PADDED = 16
"""The last batch is filled up to a multiple of this: a window's score is then the same to the
last bit whatever stands beside it, which it is not for a window alone."""

_AS_REQUESTED = 1
FAULTS = (
    ort_errors.EPFail,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoModel,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
    # What it raises besides its own errors, or its outputs do that have another shape or type.
    IndexError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class OnnxPackage:
    """A package whose golden samples score here as they did where it was trained."""

    manifest: Manifest
    session: Any

    def score(
        self, features: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See stream.core.autoencoder.Score."""
        count = len(features)
        scores = np.empty(count, np.float32)
        errors = np.empty((count, features.shape[2]), np.float32)
        for at in range(0, count, BATCH):
            part = features[at : at + BATCH]
            try:
                found = self.session.run(("score", "errors"), {"window": _filled_up(part)})
                scores[at : at + len(part)] = found[0][: len(part)]
                errors[at : at + len(part)] = found[1][: len(part)]
            except FAULTS as error:
                raise ModelError(f"model {self.manifest.name}: {error}") from error
        check_numbers(scores, self.manifest.name)
        return scores, errors


def _filled_up(part: NDArray[np.float32]) -> NDArray[np.float32]:
    """`part`, and behind it so many windows of zeros that they are a multiple of PADDED."""
    extra = -len(part) % PADDED
    if not extra:
        return part
    return np.concatenate((part, np.zeros((extra, *part.shape[1:]), np.float32)))


def load_package(folder: Path, *, threads: int = 1) -> OnnxPackage:
    """The package in `folder`. Raises ModelError when a file is missing, too large or changed,
    or when a golden sample scores differently here by more than SCORE_TOLERANCE."""
    manifest = read_manifest(read_text(folder), str(folder))
    model, golden = read_files(folder, manifest)
    session = open_session(model, folder, threads, "window", ("score", "errors"))
    package = OnnxPackage(manifest, session)
    _check_golden(package, golden, folder)
    return package


def read_text(folder: Path) -> bytes:
    """The text of the manifest of the package in `folder`. Raises ModelError."""
    return _read(folder / "manifest.json", MAX_BYTES)


def read_files(folder: Path, manifest: Package) -> tuple[bytes, bytes]:
    """`model.onnx` and `golden.npz` of a package. Raises ModelError when one is missing, too large
    or not what the manifest names."""
    contents = []
    for name in ("model.onnx", "golden.npz"):
        contents.append(_read(folder / name, MAX_MODEL_BYTES))
        if hashlib.sha256(contents[-1]).hexdigest() != manifest.files[name]:
            raise ModelError(f"{folder / name}: not the file that the manifest names (SHA-256)")
    return contents[0], contents[1]


def read_golden(content: bytes, folder: Path, names: tuple[str, ...]) -> list[NDArray[Any]]:
    """The arrays of `golden.npz` with these names. Raises ModelError."""
    try:
        return read_arrays(content, names)
    except ValueError as error:
        raise ModelError(f"{folder / 'golden.npz'}: {error}") from error


def check_numbers(scores: NDArray[np.float32], name: str) -> None:
    """Raises ModelError for a score that is no finite number."""
    if not np.isfinite(scores).all():
        raise ModelError(f"model {name}: answers what is no number")


def check_scores(found: NDArray[np.float32], expected: NDArray[Any], folder: Path) -> None:
    """Raises ModelError when a golden sample scores differently here, NaN too."""
    worst = float(np.abs(found - expected).max())
    if not worst <= SCORE_TOLERANCE:
        raise ModelError(
            f"{folder}: golden samples score differently on this machine, by up to {worst:.2g} "
            f"(allowed {SCORE_TOLERANCE:g}); the package is refused"
        )


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from error
    if len(content) > limit:
        raise ModelError(f"{path}: expected at most {limit} bytes")
    return content


def open_session(
    model: bytes, folder: Path, threads: int, takes: str, gives: tuple[str, ...]
) -> Any:
    """A session of a model that takes `takes` and gives at least `gives`. Raises ModelError, also
    for what `check_model` refuses."""
    try:
        check_model(model)
    except ValueError as error:
        raise ModelError(f"{folder / 'model.onnx'}: {error}") from error
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # What fails is an error of ours, told once; by itself it says so at every window.
    options.log_severity_level = 4
    # Spinning threads would take the core that decoding needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.use_env_allocators", "1")
    _bounded_memory()
    try:
        session = ort.InferenceSession(
            model,
            options,
            providers=["CPUExecutionProvider"],
            # It would work out what is constant as the model is opened, in memory without bound.
            disabled_optimizers=["ConstantFolding"],
        )
    except FAULTS as error:
        raise ModelError(f"{folder / 'model.onnx'}: {error}") from error
    inputs = [one.name for one in session.get_inputs()]
    outputs = [one.name for one in session.get_outputs()]
    if inputs != [takes] or not set(gives) <= set(outputs):
        raise ModelError(f"{folder / 'model.onnx'}: expected {takes} in, {' and '.join(gives)} out")
    return session


@cache
def _bounded_memory() -> None:
    """All models of this process take their memory from one arena, which has an end: a file of
    some hundred bytes may ask for any amount."""
    cpu = ort.OrtMemoryInfo(
        "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
    )
    arena = {"max_mem": MAX_MEMORY_BYTES, "arena_extend_strategy": _AS_REQUESTED}
    ort.create_and_register_allocator(cpu, ort.OrtArenaCfg(arena))


def _check_golden(package: OnnxPackage, content: bytes, folder: Path) -> None:
    manifest = package.manifest
    names = ("values", "score", "why", "asset")
    values, expected, why, asset = read_golden(content, folder, names)
    shape = (len(asset), manifest.window.rows, len(manifest.signals))
    kinds = "".join(one.dtype.kind for one in (values, expected, why, asset))
    if values.shape != shape or not expected.shape == why.shape == shape[:1] or kinds != "ffiU":
        raise ModelError(f"{folder / 'golden.npz'}: expected windows with the score of each")
    assets = tuple(str(one) for one in asset)
    centre, spread = manifest.scaler(assets)
    found = extract(values, manifest.signals, manifest.feature_set(), centre, spread)
    scored = np.asarray(why == Why.MEASURED)
    if not scored.any() or not np.array_equal(found.why, why):
        raise ModelError(f"{folder / 'golden.npz'}: other samples are measured here than there")
    scores, _ = package.score(found.x[scored])
    check_scores(scores, expected[scored], folder)
