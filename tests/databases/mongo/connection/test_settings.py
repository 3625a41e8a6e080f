from __future__ import annotations

from typing import Any

import pytest

from monarch.databases.environment import Environment
from monarch.databases.mongo.connection.settings import address_of
from monarch.errors import SettingsError
from monarch.settings.environments import parse_environment
from monarch.system.secrets import Secret


def parse(**entry: Any) -> Environment:
    return parse_environment("dev", entry)


def test_the_keys_of_the_original() -> None:
    environment = parse(
        host="h1:27017,h2:27017", db_name="app", username="me", password="hush!", sslCAFile="/ca.pem"
    )
    assert environment.hosts == ("h1:27017", "h2:27017")
    assert address_of(environment).password == Secret("hush!")
    assert address_of(environment).path == "app"
    assert dict(address_of(environment).options) == {"tlsCAFile": "/ca.pem", "tls": "true"}
    assert "hush!" not in repr(environment)


def test_keys_override_the_database_and_options_of_a_uri() -> None:
    environment = parse(uri="mongodb://h/app?replicaSet=a&w=2", replicaSet="b", retryWrites=False)
    assert environment.db_name == "app"
    assert dict(address_of(environment).options) == {"replicaSet": "b", "w": "2", "retryWrites": "false"}


def test_a_password_next_to_a_uri() -> None:
    environment = parse(uri="mongodb://me@h/app", password="hush!")
    assert (environment.username, address_of(environment).password) == ("me", Secret("hush!"))


def test_secret_options_are_secrets() -> None:
    environment = parse(uri="mongodb://h/app?tlsCertificateKeyFilePassword=hush!", tls=True)
    assert "hush!" not in repr(environment)
    assert dict(address_of(environment).options)["tlsCertificateKeyFilePassword"] == Secret("hush!")


@pytest.mark.parametrize("empty", [None, ""])
@pytest.mark.parametrize("key", ["uri", "host", "password", "username", "tlsCAFile", "db_name"])
def test_an_empty_value_is_an_error_only_when_the_environment_is_used(key: str, empty: str | None) -> None:
    entry = {"host": "h", "db_name": "app", "username": "me", "password": "x", key: empty}
    if key == "uri":
        del entry["host"]
    environment = parse(**entry)
    assert environment.missing == key
    with pytest.raises(SettingsError, match=f"has no '{key}': its value is empty"):
        environment.require()


def test_an_embedded_environment() -> None:
    environment = parse(embedded=True, db_name="app", protected=True)
    assert environment.embedded
    assert environment.server == "embedded"


@pytest.mark.parametrize(
    ("entry", "message", "hint"),
    [
        ({"host": "h", "db_name": "a", "port": 27017}, "'port' is not a key", "'host': 'db:27017'"),
        ({"host": "h", "dbname": "a"}, "unknown key 'dbname'", "'db_name'"),
        ({"host": "h", "db_name": "a", "replicaset": "r"}, "unknown key 'replicaset'", "'replicaSet'"),
        ({"host": "h", "db_name": "a", "sslCaFile": "r"}, "unknown key 'sslCaFile'", "'sslCAFile'"),
        ({"host": "h", "uri": "mongodb://h", "db_name": "a"}, "both 'uri' and 'host'", ""),
        ({"db_name": "a"}, "none of 'uri', 'host' and 'embedded'", ""),
        ({"host": "h"}, "no 'db_name'", ""),
        ({"uri": "mongodb://h"}, "no 'db_name'", ""),
        ({"host": "mongodb://u:hush@h", "db_name": "a"}, "is a connection string, not", "'uri'"),
        ({"host": "h:port", "db_name": "a"}, "a port in it is not a number", ""),
        ({"host": ["h"], "db_name": "a"}, "its 'host' is a list", ""),
        ({"host": "h", "db_name": "a.b"}, "cannot be called 'a.b'", ""),
        ({"host": "h", "db_name": "admin"}, "MongoDB's own database", "db_name"),
        ({"host": "h", "db_name": "x" * 64}, "cannot be called", "63 bytes"),
        ({"host": "h", "db_name": "a", "password": "hush"}, "no 'username'", ""),
        ({"host": "h", "db_name": "a", "protected": "no"}, "neither True nor False", ""),
        ({"host": "h", "db_name": "a", "w": [1]}, "its 'w' is a list", ""),
        ({"host": "h", "db_name": "a", "w": 0}, "its 'w' is 0", "'majority'"),
        ({"uri": "mongodb://h/a?w=0"}, "its 'w' is 0", "'majority'"),
        ({"embedded": True}, "no 'db_name'", ""),
        ({"embedded": True, "db_name": "a", "host": "h"}, "so 'host' has no meaning", ""),
        ({"uri": "mongodb://u:hush@h/a", "password": "hush"}, "both in 'uri' and in keys of their own", ""),
        ({"uri": "mongodb://u:hu@sh@h/a"}, "more than one @", "%40"),
    ],
)
def test_wrong_settings(entry: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(**entry).require()
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")
    assert caught.value.message.startswith("Environment 'dev'")
    assert "hush" not in f"{caught.value.message}{caught.value.hint}"
