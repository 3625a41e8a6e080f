from __future__ import annotations

from typing import Any

import pytest

from monarch.databases.mongo.connection import full_uri
from monarch.environments import parse_environment


@pytest.mark.parametrize(
    ("entry", "uri"),
    [
        (
            {"host": "h", "db_name": "a", "username": "u", "password": "p@"},
            "mongodb://u:p%40@h/a?authSource=a",
        ),
        ({"uri": "mongodb://u:pass@h/", "db_name": "a"}, "mongodb://u:pass@h/a?authSource=admin"),
        ({"uri": "mongodb://u:pass@h/b?w=1", "db_name": "a"}, "mongodb://u:pass@h/a?w=1&authSource=b"),
        ({"uri": "mongodb+srv://u:pass@h/a"}, "mongodb+srv://u:pass@h/a"),
        (
            {"uri": "mongodb://u@h/a?authMechanism=MONGODB-X509&tls=true"},
            "mongodb://u@h/a?authMechanism=MONGODB-X509&tls=true",
        ),
        (
            {"uri": "mongodb://h/a?readPreferenceTags=dc:ny&readPreferenceTags="},
            "mongodb://h/a?readPreferenceTags=dc:ny&readPreferenceTags=",
        ),
    ],
)
def test_full_uri_is_what_another_driver_needs(entry: dict[str, Any], uri: str) -> None:
    assert full_uri(parse_environment("dev", entry)) == uri
