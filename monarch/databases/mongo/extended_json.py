"""MongoDB's Extended JSON, canonical, version 2, which keeps every type."""

from __future__ import annotations

from bson import json_util
from bson.binary import UuidRepresentation
from bson.codec_options import DatetimeConversion

CANONICAL: json_util.JSONOptions = json_util.JSONOptions(
    json_mode=json_util.JSONMode.CANONICAL,
    document_class=dict,
    uuid_representation=UuidRepresentation.UNSPECIFIED,
    datetime_conversion=DatetimeConversion.DATETIME_MS,
)
