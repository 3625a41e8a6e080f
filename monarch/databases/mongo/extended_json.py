"""MongoDB's Extended JSON, version 2: canonical, which keeps every type, and relaxed, for people."""

from __future__ import annotations

import bson
from bson import json_util
from bson.binary import UuidRepresentation
from bson.codec_options import DatetimeConversion

CANONICAL: json_util.JSONOptions = json_util.JSONOptions(
    json_mode=json_util.JSONMode.CANONICAL,
    document_class=dict,
    uuid_representation=UuidRepresentation.UNSPECIFIED,
    datetime_conversion=DatetimeConversion.DATETIME_MS,
)
_RELAXED = json_util.JSONOptions(
    json_mode=json_util.JSONMode.RELAXED,
    document_class=dict,
    uuid_representation=UuidRepresentation.UNSPECIFIED,
    datetime_conversion=DatetimeConversion.DATETIME_MS,
)


def as_text(document: bytes) -> str:
    """Return ``document`` in one line, for people."""
    return json_util.dumps(bson.decode(document, _RELAXED), json_options=_RELAXED, ensure_ascii=False)
