"""What a thermal camera measures of a tank, as readings."""

from __future__ import annotations

import numpy as np

from contracts.plant.cameras import Camera, camera_columns
from contracts.readings import Quality
from stream.core.frames import Image
from stream.core.thermal import analyse, values


class TankGauge:
    """See stream.core.frames.Gauge."""

    def measure(self, image: Image, camera: Camera) -> dict[str, tuple[float, Quality]]:
        """By column; a coloured image counts by its mean over the colours, which is right for
        white-hot pictures only."""
        if image.ndim == 3:
            image = image.mean(axis=2).astype(np.uint8)
        found, quality = values(analyse(image, camera.tank), camera)
        names = [column.signal for column in camera_columns(camera, [])]
        return {
            name: (float(value), Quality(code))
            for name, value, code in zip(names, found, quality.tolist(), strict=True)
        }
