from __future__ import annotations

from typing import Any

import pytest

from monarch.settings.environments import parse_environment
from monarch.settings.protection import why_hazardous


@pytest.mark.parametrize(
    ("name", "entry", "why"),
    [
        ("production", {"host": "localhost"}, "it is called production"),
        ("Production", {"host": "localhost"}, "it is called production"),
        ("dev", {"host": "localhost:27017"}, None),
        ("dev", {"host": "127.0.0.1"}, None),
        ("dev", {"host": "mongo.local:1"}, None),
        ("dev", {"host": "db.example.com"}, "its host db.example.com is not local"),
        ("dev", {"host": "localhost,db:27017"}, "its host db:27017 is not local"),
        ("dev", {"uri": "mongodb+srv://x.local/a"}, "its host x.local is not local"),
        ("dev", {"uri": "mongodb://u:p@[::1]:27017/a"}, None),
        ("dev", {"uri": "mongodb://%2Ftmp%2Fm.sock/a"}, None),
        ("dev", {"embedded": True}, None),
        ("production", {"embedded": True}, "it is called production"),
        ("dev", {"host": "localhost", "protected": True}, "it is protected in the settings"),
        ("production", {"host": "far.away", "protected": False}, None),
    ],
)
def test_why_hazardous(name: str, entry: dict[str, Any], why: str | None) -> None:
    assert why_hazardous(parse_environment(name, {"db_name": "a", **entry})) == why
