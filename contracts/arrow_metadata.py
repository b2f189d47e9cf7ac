"""What stands in the metadata of an Arrow message, looked at before Arrow believes it."""

from __future__ import annotations

import struct


def names_a_codec(metadata: bytes) -> bool:
    """Whether a record batch's metadata names a codec. Its sizes would be believed: a few bytes
    may claim any number. After Message.fbs: field 2 of a Message is its header, field 3 of the
    RecordBatch in there its compression. Raises struct.error."""
    (root,) = struct.unpack_from("<I", metadata)
    header = _field(metadata, root, 2)
    if header is None:
        return False
    (there,) = struct.unpack_from("<I", metadata, header)
    return _field(metadata, header + there, 3) is not None


def _field(buffer: bytes, table: int, number: int) -> int | None:
    """Where field `number` of the table at `table` lies in a flatbuffer; None where it is not
    set. Raises struct.error."""
    vtable = table - struct.unpack_from("<i", buffer, table)[0]
    if vtable < 0:
        raise struct.error("a table outside")
    (size,) = struct.unpack_from("<H", buffer, vtable)
    if size < 6 + 2 * number:
        return None
    (offset,) = struct.unpack_from("<H", buffer, vtable + 4 + 2 * number)
    return table + offset if offset else None
