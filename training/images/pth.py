"""Reads PyTorch's old weight files (before its zip files) without PyTorch, and runs nothing in
them: five pickles, of which the fourth is the weights by name and the fifth the keys of their
storages; then each storage's length and raw values."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}


class _Weights(pickle.Unpickler):
    """Knows the four names that a file of weights needs, and no other."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a file of weights")

    def persistent_load(self, pid: Any) -> tuple[str, str]:
        _, dtype, key, *_ = pid
        return dtype, key


def _tensor(
    storage: tuple[str, str], offset: int, shape: Sequence[int], stride: Sequence[int], *_: Any
) -> tuple[tuple[str, str], int, tuple[int, ...], tuple[int, ...]]:
    return storage, offset, tuple(shape), tuple(stride)


def read_weights(content: bytes) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a weight file by name. Raises ValueError for what is none, and
    pickle.UnpicklingError for a file that asks for anything but arrays."""
    file = io.BytesIO(content)
    magic, _, _, named, keys = (_Weights(file).load() for _ in range(5))
    if magic != _MAGIC:
        raise ValueError("expected a PyTorch weight file of the old format")
    dtypes = {key: dtype for (dtype, key), *_ in named.values()}
    storages = {}
    for key in keys:
        dtype = np.dtype(dtypes[key])
        (count,) = np.frombuffer(file.read(8), "<i8")
        storages[key] = np.frombuffer(file.read(int(count) * dtype.itemsize), dtype)
    return {
        name: _view(storages[key], offset, shape, stride).copy()
        for name, ((_, key), offset, shape, stride) in named.items()
    }


def _view(
    flat: npt.NDArray[Any], offset: int, shape: tuple[int, ...], stride: tuple[int, ...]
) -> npt.NDArray[Any]:
    last = offset + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
    if min((offset, *shape, *stride), default=0) < 0 or last >= len(flat):
        raise ValueError("a tensor reaches outside its storage")
    steps = tuple(step * flat.itemsize for step in stride)
    return np.lib.stride_tricks.as_strided(flat[offset:], shape, steps, writeable=False)
