"""What a model was built with."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "tf2onnx", "onnx", "numpy")


def installed() -> dict[str, str]:
    """The versions of Python and of the packages that are installed here."""
    return {"python": platform.python_version()} | of(*PACKAGES)


def of(*packages: str) -> dict[str, str]:
    """The versions of those of `packages` that are installed here."""
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
