"""What a worker needs for a plant file: its rules, and its models, read and checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from broker.plant_disk import Found
from contracts.errors import ModelError
from contracts.plant import Plant
from contracts.plant.detectors import Autoencoder, Vision
from stream.adapters.frame_agent import Watched
from stream.adapters.frame_model import FrameModel, watched
from stream.adapters.model_faults import ModelFaults
from stream.adapters.onnx_image import ImagePackage, load_image_package
from stream.adapters.onnx_package import OnnxPackage, load_package
from stream.core.autoencoder import AutoencoderDetector
from stream.core.detectors import Detector
from stream.core.rules import rule
from stream.core.tank_gauge import TankGauge
from stream.core.vision import VisionRule

P = TypeVar("P", OnnxPackage, ImagePackage)
Named = tuple[str, str]
Loaded = dict[Named, OnnxPackage | ImagePackage]


@dataclass(frozen=True, slots=True)
class Equipment:
    """What runs each detector of a plant, by its id, and what looks at the frames of each asset.
    `loaded` are the packages behind them, by name and content."""

    plant: Plant
    detectors: Mapping[str, Detector]
    watched: Mapping[str, Watched]
    loaded: Mapping[Named, OnnxPackage | ImagePackage]


@dataclass(slots=True)
class Workshop:
    """Makes equipment. A package whose content is that of one in use is not loaded again. What its
    models fail at is told to `faults`."""

    threads: int
    faults: ModelFaults
    in_use: Mapping[Named, OnnxPackage | ImagePackage] = field(default_factory=dict)

    def equip(self, plant: Plant, found: Found) -> Equipment:
        """For `plant`, which was `found` on disk. Raises ModelError for a package that is refused,
        or that does not fit an asset it shall watch."""
        loaded: Loaded = {}
        detectors: dict[str, Detector] = {}
        models: dict[str, FrameModel] = {}
        for section in plant.detectors:
            if isinstance(section, Autoencoder):
                model = self._fitting(section, plant, found, loaded)
                score = self.faults.telling(section.id, model.score)
                detectors[section.id] = AutoencoderDetector(section, model.manifest, score)
            elif isinstance(section, Vision):
                image = self._looking(section, found, loaded)
                detectors[section.id] = VisionRule(section, image.manifest)
                look = self.faults.telling(section.id, image.score)
                models[section.id] = FrameModel(image.manifest, look, section.factor)
            else:
                ruled = rule(section)
                assert ruled is not None
                detectors[section.id] = ruled
        return Equipment(plant, detectors, watched(plant, models, TankGauge()), loaded)

    def try_out(self, section: Autoencoder | Vision, plant: Plant, found: Found) -> str:
        """The name of the model of one detector of `plant`, which was `found` on disk. Raises
        ModelError as `equip` does."""
        if isinstance(section, Autoencoder):
            return self._fitting(section, plant, found, {}).manifest.name
        return self._looking(section, found, {}).manifest.name

    def _fitting(
        self, section: Autoencoder, plant: Plant, found: Found, loaded: Loaded
    ) -> OnnxPackage:
        model = self._package(section.package, found, loaded, load_package, OnnxPackage)
        _check_fit(section, model, plant)
        return model

    def _looking(self, section: Vision, found: Found, loaded: Loaded) -> ImagePackage:
        return self._package(section.package, found, loaded, load_image_package, ImagePackage)

    def _package(
        self,
        name: str,
        found: Found,
        loaded: Loaded,
        load: Callable[..., P],
        kind: type[P],
    ) -> P:
        key = (name, found.packages[name])
        known = loaded.get(key) or self.in_use.get(key)
        if not isinstance(known, kind):
            known = load(found.folders[name], threads=self.threads)
        loaded[key] = known
        return known


def _check_fit(section: Autoencoder, package: OnnxPackage, plant: Plant) -> None:
    columns = plant.columns()
    assets = [asset for asset in plant.assets() if section in plant.detectors_of(asset)]
    package.manifest.scaler(tuple(assets))
    for asset in assets:
        has = {column.signal for column in columns[asset]}
        if missing := [signal for signal in package.manifest.signals if signal not in has]:
            raise ModelError(
                f"detector {section.id}: {asset} has no signal {missing[0]}, which model "
                f"{package.manifest.name} needs"
            )
