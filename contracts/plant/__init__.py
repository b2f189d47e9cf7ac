"""The plant file: one YAML of sites, assets, signals, detectors and alarm rules."""

from contracts.plant.check import PlantErrors, Problem, check_plant, read_plant
from contracts.plant.model import Plant

__all__ = ["Plant", "PlantErrors", "Problem", "check_plant", "read_plant"]
