from __future__ import annotations

from typing import Any

import pytest

from monarch.databases.mongo.connection.client import full_uri, tool_uri
from monarch.errors import UsageError
from monarch.settings.environments import parse_environment


@pytest.mark.parametrize(
    ("entry", "uri"),
    [
        (
            {"host": "h", "db_name": "a", "username": "u", "password": "p@"},
            "mongodb://u:p%40@h/a?authSource=a",
        ),
        ({"uri": "mongodb://u:hush@h/", "db_name": "a"}, "mongodb://u:hush@h/a?authSource=admin"),
        ({"uri": "mongodb://u:hush@h/b?w=1", "db_name": "a"}, "mongodb://u:hush@h/a?w=1&authSource=b"),
        ({"uri": "mongodb+srv://u:hush@h/a"}, "mongodb+srv://u:hush@h/a"),
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
def test_the_full_uri_has_everything_that_another_driver_needs(entry: dict[str, Any], uri: str) -> None:
    assert full_uri(parse_environment("dev", entry)) == uri


@pytest.mark.parametrize(
    ("entry", "uri"),
    [
        (
            {"uri": "mongodb://u:hush@h/b?w=1&uuidRepresentation=standard", "db_name": "a"},
            "mongodb://u:hush@h/?connectTimeoutMS=5000&authSource=b",
        ),
        (
            {"uri": "mongodb+srv://u:hush@h/a?readPreference=secondary"},
            "mongodb+srv://u:hush@h/?readPreference=secondary&connectTimeoutMS=5000",
        ),
        (
            {"uri": "mongodb://h/a?tls=true&tlsAllowInvalidCertificates=true&connectTimeoutMS=7"},
            "mongodb://h/?tls=true&tlsInsecure=true&connectTimeoutMS=7",
        ),
    ],
)
def test_the_tool_uri_has_no_database_and_only_options_that_the_tools_support(
    entry: dict[str, Any], uri: str
) -> None:
    assert tool_uri(parse_environment("dev", entry)) == uri


@pytest.mark.parametrize("option", ["tlsAllowInvalidHostnames", "tlsCRLFile"])
def test_options_that_the_tools_interpret_differently_are_refused(option: str) -> None:
    environment = parse_environment("dev", {"uri": f"mongodb://h/a?tls=true&{option}=true"})
    with pytest.raises(UsageError, match=f"'dev' has '{option}'") as error:
        tool_uri(environment)
    assert error.value.hint == "Use --engine native."
