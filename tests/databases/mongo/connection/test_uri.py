from __future__ import annotations

from urllib.parse import quote

import pytest
from pymongo import common
from pymongo.uri_parser import parse_uri

from monarch.databases.mongo.connection.uri import OPTIONS, build, parse, parse_hosts
from monarch.errors import SettingsError
from monarch.system.secrets import Secret
from tests.support.servers.mongod import PASSWORD, USER


def test_every_part_is_parsed_and_formatted() -> None:
    text = (
        f"mongodb://{quote(USER, safe='')}:{quote(PASSWORD, safe='')}@h1:27017,h2:27018/app"
        "?authSource=admin&replicaset=rs0&tlsCAFile=%2Ftmp%2Fa%20b.pem"
    )
    parts = parse(text)
    assert parts.hosts == ("h1:27017", "h2:27018")
    assert (parts.username, parts.path) == (USER, "app")
    assert parts.password == Secret(PASSWORD)
    assert dict(parts.options) == {
        "authSource": "admin",
        "replicaSet": "rs0",
        "tlsCAFile": "/tmp/a b.pem",
    }
    assert parse(build(parts)) == parts
    theirs = parse_uri(build(parts), validate=False)
    assert (theirs["username"], theirs["password"]) == (USER, PASSWORD)
    assert theirs["nodelist"] == [("h1", 27017), ("h2", 27018)]


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("mongodb://localhost", ("localhost",)),
        ("mongodb://[::1]:27017/x", ("[::1]:27017",)),
        ("mongodb://%2Ftmp%2Fmongodb-27017.sock", ("%2Ftmp%2Fmongodb-27017.sock",)),
        ("mongodb+srv://cluster.example.com/x?w=majority", ("cluster.example.com",)),
    ],
)
def test_hosts(text: str, hosts: tuple[str, ...]) -> None:
    assert parse(text).hosts == hosts


@pytest.mark.parametrize(
    "text",
    [
        "mongodb://me:sec@ret@host/db",
        "mongodb://me:sec:ret@host/db",
        "mongodb://me:sec/ret@host/db",
        "mongodb://me:sec?ret@host/db",
        "mongodb://me:sec#ret@host/db",
        "mongodb://me:sec%ret@host/db",
        "mongodb://me:sec[ret@host/db",
        "mongodb://[me:secret]/db",
        "mongodb://:secret@host/db",
        "mongodb://me:secret/host",
        "mongodb://secret host/db",
        "mongodb://host:secret/db",
        "mongodb://host:99999/db?secret=1",
        "mongodb://h1,,secret/db",
        "mongodb://host/db?secret",
        "mongodb://host/db?secret=1",
        "mongodb+srv://secret:27017/db",
        "mongodb+srv://secret,ret/db",
        "secret",
        "http://secret@host",
    ],
)
def test_the_error_of_a_broken_uri_quotes_no_part_of_it(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(text)
    text_of_error = f"{caught.value.message} {caught.value.hint}"
    for part in ("sec", "ret", "host/", "99999"):
        assert part not in text_of_error


def test_the_options_are_those_of_pymongo() -> None:
    ours = {option.lower() for option in OPTIONS}
    theirs = {name.lower() for name in common.URI_OPTIONS_VALIDATOR_MAP}
    assert ours <= theirs | {"srvmaxhosts", "srvservicename"}


def test_the_application_name_that_azure_writes() -> None:
    parts = parse("mongodb://me:hush@h:10255/app?ssl=true&appName=@shop@&retryWrites=false")
    assert (parts.hosts, parts.username, parts.path) == (("h:10255",), "me", "app")
    assert dict(parts.options)["appName"] == "@shop@"
    assert parse(build(parts)) == parts


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("mongodb://::1/app", "an IPv6 address in it has no [ ]", "[::1]:27017"),
        ("mongodb://::1:27017/app", "an IPv6 address in it has no [ ]", "[::1]:27017"),
        ("mongodb://fe80::a:b/app", "an IPv6 address in it has no [ ]", "[::1]:27017"),
        ("mongodb:///tmp/mongodb-27017.sock", "the path of a socket that is not escaped", "%2F"),
        ("mongodb://me:hush@/tmp/mongodb-27017.sock/app", "the path of a socket that is", "%2F"),
        ("mongodb://h/app?tz_aware=true", "'tz_aware'", "Remove it"),
        ("mongodb://h/app?useNewUrlParser=true", "'usenewurlparser'", "Remove it"),
        ("mongodb://h/app?ssl_ca_certs=a.pem", "'ssl_ca_certs'", "'tlsCAFile'"),
    ],
)
def test_uris_of_other_databases_are_named(text: str, message: str, hint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(text)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("host", ["::1", "/tmp/mongodb-27017.sock"])
def test_a_host_that_must_be_escaped(host: str) -> None:
    with pytest.raises(SettingsError, match=r"IPv6|socket"):
        parse_hosts(host)
