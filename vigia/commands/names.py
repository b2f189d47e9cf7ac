"""Display names from the plant file."""

from __future__ import annotations

from contracts.identity import asset_key
from contracts.plant import Plant


def display_names(plant: Plant | None) -> dict[str, str]:
    """Each asset's key with the name that operators gave it, where they did."""
    if plant is None:
        return {}
    return {
        asset_key(site.id, asset.id): asset.name
        for site in plant.sites
        for asset in site.assets
        if asset.name
    }
