"""Texts for monarch's own tables, in a database of any encoding."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from psycopg.types.json import Jsonb

from monarch.databases.postgres.connection.client import Cursor

# By the server's names. SQL_ASCII converts nothing, and keeps every byte.
_CODECS = {"UTF8": "utf-8", "SQL_ASCII": "utf-8", "LATIN1": "latin-1"}
# Raw, because SQL_ASCII accepts no \\u escapes in jsonb.
_dumps = partial(json.dumps, ensure_ascii=False)


def storable(cursor: Cursor, text: str) -> str:
    """Return ``text`` with escapes for the characters that the database of ``cursor`` cannot store."""
    codec = _CODECS.get(cursor.connection.info.parameter_status("server_encoding") or "", "ascii")
    return text.replace("\0", "\\x00").encode(codec, "backslashreplace").decode(codec)


def storable_json(cursor: Cursor, values: Mapping[str, Any]) -> Jsonb:
    """Return ``values`` as jsonb, with escapes in its texts where `storable` has them."""
    texts = {name: storable(cursor, one) if isinstance(one, str) else one for name, one in values.items()}
    return Jsonb(texts, _dumps)
