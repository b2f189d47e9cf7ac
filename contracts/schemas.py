"""The published JSON Schemas (draft 2020-12): the plant file, the JSON messages, the headers.

File names and `$id`s carry the version; a changed meaning is a new file, and old ones stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts import deadletters, readings
from contracts.durations import EXPECTED, format_duration
from contracts.frames import EvidenceHeaders, FrameHeaders, OfFrame
from contracts.messages import KINDS, OLD_KINDS
from contracts.plant.model import Plant

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
PLANT = "vigia.plant.v1"
_WHOLE = r"^-?[0-9]+$"
_FLAG: Schema = {
    "const": "true",
    "description": "it came to the log long after the edge received it; else not there",
}


def published() -> dict[str, Schema]:
    """Every schema under its file name, as `docs/schemas/` holds them."""
    found = {PLANT: plant_schema()}
    for model, kind in {**OLD_KINDS, **KINDS}.items():
        found[kind] = _titled(kind, model.model_json_schema())
    for kind, schema in (
        (readings.KIND, _readings_headers()),
        (FrameHeaders.KIND, _frame_headers()),
        (EvidenceHeaders.KIND, _evidence_headers()),
        (deadletters.KIND, _dead_letter_headers()),
    ):
        found[f"{kind}.headers"] = _titled(f"{kind}.headers", schema)
    return {f"{name}.json": schema for name, schema in found.items()}


def plant_schema() -> Schema:
    """The schema of the plant file, for editors: durations are text, such as 3s or 5min.

    It knows shapes only; what must hold between sections is said by `vigia config check`.
    """
    return _titled(PLANT, _for_editors(Plant.model_json_schema()))


def _titled(name: str, schema: Schema) -> Schema:
    return {"$schema": DIALECT, "$id": f"urn:vigia:schema:{name}", **schema, "title": name}


def _for_editors(node: Any) -> Any:
    if isinstance(node, list):
        return [_for_editors(one) for one in node]
    if not isinstance(node, dict):
        return node
    found = {name: _for_editors(one) for name, one in node.items()}
    if _is_duration(found):
        found.setdefault("description", EXPECTED)
        if isinstance(found.get("default"), int):
            found["default"] = format_duration(found["default"])
    if "$ref" in found:
        # An editor would insert the whole section; and its durations stand there as numbers.
        found.pop("default", None)
    if "patternProperties" in found:
        found.setdefault("additionalProperties", False)
    return found


def _is_duration(node: Mapping[str, Any]) -> bool:
    return {"const": 0} in node.get("anyOf", ())


def _headers(own: Mapping[str, Schema], *, optional: tuple[str, ...] = ()) -> Schema:
    """Headers as an object of header name to text."""
    anything: Schema = {"type": "string"}
    fields = {
        "ce_specversion": {"const": "1.0"},
        "ce_type": anything,
        "ce_source": anything,
        "ce_id": anything,
        "ce_subject": anything,
        "content-type": anything,
        **own,
    }
    required = [name for name in fields if name not in optional]
    return {"type": "object", "properties": fields, "required": required}


def _number(description: str) -> Schema:
    return {"type": "string", "pattern": _WHOLE, "description": description}


def _readings_headers() -> Schema:
    return _headers(
        {
            "ce_type": {"const": readings.KIND},
            "content-type": {"const": readings.CONTENT_TYPE},
            "ce_subject": {"type": "string", "description": "the asset, site/asset"},
            "ce_sequence": _number("counts the asset's batches from 0"),
            "ce_wmbefore": _number("watermark before this batch, microseconds"),
            "ce_wmafter": _number("watermark after this batch, microseconds"),
            "ce_maxbefore": _number("largest event time of all earlier batches, microseconds"),
            "ce_newest": _number("largest event time in this batch, microseconds"),
            "ce_received": _number("when the edge received the newest row, microseconds"),
            "ce_backfill": _FLAG,
        },
        optional=("ce_backfill",),
    )


def _dead_letter_headers() -> Schema:
    return _headers(
        {
            "ce_type": {"const": deadletters.KIND},
            "ce_subject": {"type": "string", "description": "the topic that it came from"},
            "ce_reason": {"type": "string", "description": "a short bounded word"},
            "ce_text": {"type": "string", "maxLength": deadletters.MAX_TEXT},
            "ce_size": _number("bytes of the whole message; the value may be cut"),
            "ce_receivedat": _number("when it was received, microseconds"),
        }
    )


def _frame_headers() -> Schema:
    own = _fields(FrameHeaders)
    encodings = FrameHeaders.model_json_schema()["properties"]["encoding"]["enum"]
    own["content-type"] = {"enum": [f"image/{one}" for one in encodings]}
    own["ce_backfill"] = _FLAG
    return _headers(own, optional=("ce_calibration", "ce_backfill"))


def _evidence_headers() -> Schema:
    return _headers({**_fields(EvidenceHeaders), "content-type": {"const": "image/jpeg"}})


def _fields(model: type[OfFrame]) -> dict[str, Schema]:
    own: dict[str, Schema] = {"ce_type": {"const": model.KIND}}
    for name, field in model.model_json_schema()["properties"].items():
        header = "ce_subject" if name == "asset" else f"ce_{name.replace('_', '')}"
        own[header] = _as_text(field)
    return own


def _as_text(field: Schema) -> Schema:
    if field.get("type") == "integer":
        return {"type": "string", "pattern": _WHOLE}
    if "enum" in field:
        return {"type": "string", "enum": field["enum"]}
    return {"type": "string"}
