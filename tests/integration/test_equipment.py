"""A plant file's models under a process that runs: what is bad is refused for what it is, and what
is unchanged is not loaded again."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from broker.plant_disk import PlantDisk
from contracts.errors import ModelError
from stream.adapters.equipment import Equipment, Workshop
from stream.adapters.model_faults import ModelFaults
from tests.chaos.world import write_plant
from tests.integration.test_model_package import golden, manifest

ASSETS = ["chaos/a0", "chaos/a1"]


class Site:
    """A plant file with a model, and what a worker has made of it."""

    def __init__(self, folder: Path) -> None:
        self.model = folder / "model"
        self.plant = write_plant(folder, ASSETS, "p", 1)
        self.disk = PlantDisk(self.plant, models=True)
        self.shop = Workshop(1, ModelFaults(lambda: 0))
        self.first = self.equip()
        self.shop.in_use = self.first.loaded

    def equip(self) -> Equipment:
        found = self.disk.look()
        return self.shop.equip(found.plant(), found)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_model_that_is_unchanged_is_not_loaded_again(site: Site) -> None:
    site.plant.write_text(site.plant.read_text().replace("high: 0.31", "high: 0.3"))
    again = site.equip()
    assert again.plant.hash != site.first.plant.hash
    assert again.loaded == site.first.loaded
    assert all(again.loaded[key] is one for key, one in site.first.loaded.items())


def test_another_version_is_loaded_and_named_by_its_detections(site: Site) -> None:
    manifest(site.model, lambda found: found.update(version="2"))
    model = site.equip().detectors["model"].model
    assert model is not None
    assert model.version == "2"


def test_what_is_cut_off_is_refused(site: Site) -> None:
    file = site.model / "model.onnx"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"model\.onnx: not the file that the manifest names"):
        site.equip()


def test_what_is_no_model_is_refused(site: Site) -> None:
    """Even where the manifest names it."""
    file = site.model / "model.onnx"
    file.write_bytes(file.read_bytes()[:-100])
    digest = sha256(file.read_bytes()).hexdigest()
    manifest(site.model, lambda found: found["files"].update({"model.onnx": digest}))
    with pytest.raises(ModelError, match=r"model\.onnx: "):
        site.equip()


def test_golden_samples_that_score_differently_are_refused(site: Site) -> None:
    with np.load(site.model / "golden.npz") as found:
        score = found["score"]
    golden(site.model, score=score * 2)
    with pytest.raises(ModelError, match="score differently on this machine"):
        site.equip()


def test_an_asset_that_the_model_was_not_fitted_for_is_refused(site: Site) -> None:
    text = site.plant.read_text()
    text = text.replace("- {id: a0,", "- {id: a9, signals: line}\n      - {id: a0,")
    site.plant.write_text(text.replace("baseline: {", "baseline: {chaos/a9: 0.016, "))
    with pytest.raises(ModelError, match="chaos/a9"):
        site.equip()


def test_an_asset_without_a_signal_of_the_model_is_refused(site: Site) -> None:
    file = site.model / "manifest.json"
    found = json.loads(file.read_text())
    first = found["signals"][0]
    text = site.plant.read_text().replace(f"{{id: {first},", "{id: renamed,")
    site.plant.write_text(text.replace(f": {first}\n", ": renamed\n"))
    with pytest.raises(ModelError, match=f"has no signal {first}"):
        site.equip()


def test_a_package_that_is_not_there_is_refused(site: Site) -> None:
    text = site.plant.read_text()
    site.plant.write_text(text.replace("package: model", "package: other"))
    with pytest.raises(ModelError, match=r"other/manifest\.json: No such file"):
        site.equip()
