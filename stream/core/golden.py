"""`golden.npz`: a ZIP archive of arrays as NumPy writes them, read strictly and within bounds."""

from __future__ import annotations

import io
import math
import re
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_ARRAY_BYTES = 200_000_000
"""Of all arrays: a small archive may claim any size."""
MAX_MEMBERS = 64
_MEMBER = b"PK\x01\x02"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# NumPy's own reader evaluates this as Python, and believes the shape before it has the data.
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '([<|](?:f[248]|[iu][1248]|b1|U[1-9]\d{0,3}))', "
    rb"'fortran_order': (True|False), 'shape': \(((?:\d{1,9}, ?)*(?:\d{1,9})?)\), \} *\n",
    re.DOTALL,
)
_FAULTS = (
    ValueError,
    KeyError,
    EOFError,
    OSError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_arrays(content: bytes, names: tuple[str, ...]) -> list[NDArray[Any]]:
    """The arrays with these names. Raises ValueError that says what is wrong, nothing else; takes
    little more memory than the arrays, MAX_ARRAY_BYTES at most."""
    # Each entry of an archive's directory has 46 bytes, and takes most of a kilobyte in memory.
    if content.count(_MEMBER) > MAX_MEMBERS:
        raise ValueError(f"expected at most {MAX_MEMBERS} arrays")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(one.file_size for one in archive.infolist()) > MAX_ARRAY_BYTES:
                raise ValueError(f"expected at most {MAX_ARRAY_BYTES} bytes of arrays")
            members = [archive.getinfo(f"{name}.npy") for name in names]
            return [_array(_content(archive, one), one.filename) for one in members]
    except _FAULTS as error:
        raise ValueError(str(error) or type(error).__name__) from error


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.compress_type not in _METHODS:
        raise ValueError(f"{member.filename}: expected it stored or deflated")
    with archive.open(member) as file:
        # Not all there is: what unpacks may be longer than the directory says.
        return file.read(member.file_size)


def _array(raw: bytes, name: str) -> NDArray[Any]:
    found = _HEADER.match(raw)
    if found is None:
        raise ValueError(f"{name}: expected an array of numbers or text")
    kind, fortran, sizes = (one.decode() for one in found.groups())
    dtype = np.dtype(kind)
    shape = tuple(int(size) for size in sizes.split(",") if size.strip())
    if dtype.itemsize * math.prod(shape) != len(raw) - found.end():
        raise ValueError(f"{name}: expected {list(shape)} of {dtype}")
    flat = np.frombuffer(raw, dtype, math.prod(shape), found.end())
    return flat.reshape(shape, order="F" if fortran == "True" else "C")
