"""Many small objects are read as boto3's client reads them, whatever the server does meanwhile."""

from __future__ import annotations

import random
import re
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPSConnection
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import trustme
from botocore.utils import parse_timestamp

from monarch.errors import StoreError
from monarch.stores import parse_store
from monarch.stores.base import SmallFile
from monarch.stores.s3 import quick
from monarch.stores.s3.client import parse_time
from monarch.stores.s3.settings import S3Settings
from monarch.stores.s3.store import S3Store
from tests.stores.contract import ODD_NAMES
from tests.stores.s3.test_store import bucket as bucket  # a fixture
from tests.support import counts
from tests.support.servers.s3 import READERS_KEY, READERS_SECRET, FaultyProxy, S3Server, run_proxy, run_sts

pytestmark = pytest.mark.usefixtures("no_waiting")

MiB = 1 << 20
PREFIX = "the team's/backups"
GET = r"^GET /[^?]*/small"
SMALL = {f"small_{number}.json": b"%d of them" % number for number in range(60)}
SIZES = (0, 1, (1 << 18) - 1, 1 << 18, (1 << 18) + 1, MiB - 1, MiB, MiB + 1, 3 * MiB)
LARGE = {f"of {size} bytes": random.Random(size).randbytes(size) for size in SIZES}
ODD = {name: name.encode() for name in ODD_NAMES if len(name) < 200}


class Requests:
    """Counts the objects for which a store's client of boto3 asks."""

    def __init__(self, store: S3Store) -> None:
        self.number = 0
        store._bucket.client.meta.events.register("before-send.s3.GetObject", self._count)

    def _count(self, **_: Any) -> None:
        self.number += 1


def store_at(server: S3Server, bucket: str, few: int = 0, root: Path = Path(), **more: Any) -> S3Store:
    settings = parse_store({"S3": server.settings(bucket, **{"prefix": PREFIX, **more})})
    assert isinstance(settings, S3Settings)
    opened = settings.open(root)
    assert isinstance(opened, S3Store)
    opened._few = few
    return opened


def fill(s3: S3Server, bucket: str, files: dict[str, bytes], prefix: str = PREFIX) -> None:
    client = s3.client()

    def put(name: str) -> None:
        client.put_object(Bucket=bucket, Key=f"{prefix}/{name}", Body=files[name])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(put, files))


def read(store: S3Store, names: Any = SMALL, largest: int = 64 * MiB) -> dict[str, SmallFile]:
    found = list(store.read_small(names, largest))
    assert len({file.name for file in found}) == len(found)
    return {file.name: file for file in found}


def texts(found: dict[str, SmallFile]) -> dict[str, object]:
    return {name: file.text for name, file in found.items()}


@pytest.fixture
def small(s3: S3Server, bucket: str) -> str:
    """A bucket with `SMALL`."""
    fill(s3, bucket, SMALL)
    return bucket


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[FaultyProxy]:
    with run_proxy(s3) as made:
        yield made


def test_small_objects_are_read_as_the_client_reads_them(s3: S3Server, bucket: str) -> None:
    fill(s3, bucket, SMALL | LARGE | ODD)
    usual, store = store_at(s3, bucket, few=10_000), store_at(s3, bucket)
    asked, files = Requests(store), [*SMALL, *LARGE, *ODD, "missing"]
    found = read(store, files)
    assert texts(found) == SMALL | LARGE | ODD
    assert found == read(usual, files)
    # The first one, the missing one, the empty one and those that are larger than the reader reads.
    assert asked.number <= 10
    versions = {file.name: file.version for file in store.list() if file.bytes}
    assert {name: file.version for name, file in found.items() if file.text} == versions
    for largest in (1, 100, 1 << 18, MiB, 2 * MiB):
        for name, text in texts(read(store, files, largest)).items():
            whole = (SMALL | LARGE | ODD)[name]
            assert isinstance(text, bytes)
            assert whole.startswith(text)
            assert len(text) >= min(largest, len(whole))


def test_few_files_are_read_by_the_client(s3: S3Server, small: str) -> None:
    store = store_at(s3, small, few=len(SMALL))
    asked = Requests(store)
    assert texts(read(store)) == SMALL
    assert asked.number == len(SMALL)


@pytest.mark.parametrize("largest", [1 << 18, 64 * MiB])
def test_a_huge_file_is_not_fetched_for_its_beginning(
    s3: S3Server, proxy: FaultyProxy, small: str, largest: int
) -> None:
    fill(s3, small, {"small but huge": bytes(20 * MiB)})
    store = store_at(replace(s3, url=proxy.url), small)
    found = read(store, [*SMALL, "small but huge"], largest)
    huge = found.pop("small but huge").text
    assert texts(found) == SMALL
    assert isinstance(huge, bytes)
    assert largest <= len(huge) <= 20 * MiB or len(huge) == 20 * MiB


FAULTS: list[dict[str, Any]] = [
    {"what": "refuse"},
    {"what": "status", "code": (500, "InternalError")},
    {"what": "status", "code": (503, "SlowDown")},
    {"what": "status", "code": (400, "RequestTimeout")},
    {"what": "cut answer", "at": 5},
    {"what": "lose"},
    {"what": "stall", "seconds": 1.5},
]


def name_of(value: Any) -> str:
    return (
        str(value["code"][1] if "code" in value else value["what"]) if isinstance(value, dict) else str(value)
    )


@pytest.mark.parametrize(("fault", "times"), counts.sample(list(product(FAULTS, [1, 4, 12])), 6), ids=name_of)
def test_what_fails_for_a_moment_is_read(
    s3: S3Server,
    proxy: FaultyProxy,
    small: str,
    monkeypatch: pytest.MonkeyPatch,
    fault: dict[str, Any],
    times: int,
) -> None:
    monkeypatch.setattr(quick, "_SECONDS", 1)
    store = store_at(replace(s3, url=proxy.url), small)
    proxy.add(**fault, pattern=GET, times=times, skip=3)
    assert texts(read(store)) == SMALL
    assert proxy.faults[0].times == 0


REFUSALS: list[dict[str, Any]] = [
    {"what": "status", "code": (403, "AccessDenied")},
    {"what": "status", "code": (403, "SignatureDoesNotMatch")},
    {"what": "status", "code": (403, "InvalidObjectState")},
    {"what": "status", "code": (503, "SlowDown")},
    {"what": "refuse"},
]


@pytest.mark.parametrize("fault", counts.sample(REFUSALS, 3), ids=name_of)
def test_what_is_refused_has_the_error_of_the_client(
    s3: S3Server, proxy: FaultyProxy, small: str, fault: dict[str, Any]
) -> None:
    names = [*SMALL][:8]
    server = replace(s3, url=proxy.url)
    usual, store = store_at(server, small, few=10_000), store_at(server, small)
    asked = Requests(store)
    proxy.add(**fault, pattern=GET, times=100_000)
    expected, found = read(usual, names), read(store, names)
    assert {name: str(file.text) for name, file in found.items()} == {
        name: str(file.text) for name, file in expected.items()
    }
    assert all(isinstance(file.text, StoreError) for file in found.values())
    assert asked.number >= len(names)


def test_a_server_that_refuses_everything_is_not_asked_twice_for_each_file(
    s3: S3Server, proxy: FaultyProxy, small: str
) -> None:
    store = store_at(replace(s3, url=proxy.url), small)
    proxy.add("status", GET, code=(403, "AccessDenied"), times=100_000)
    many = [f"small_{number}.json" for number in range(400)]
    assert len(read(store, many)) == len(many)
    assert sum("/small" in request for request in proxy.requests) < len(many) + 60


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(s3: S3Server, proxy: FaultyProxy, small: str, status: int) -> None:
    store = store_at(replace(s3, url=proxy.url), small)
    with run_proxy(s3) as target:
        where = {"Location": f"{target.url}/{small}/x"}
        proxy.add("status", GET, code=(status, "Moved"), headers=where, times=100_000, skip=10)
        found = [file.text for file in read(store).values()]
        assert target.requests == []
    errors = [text for text in found if isinstance(text, StoreError)]
    assert len(errors) == len(SMALL) - 10
    assert all("redirects to" in error.message for error in errors)


def test_an_object_of_thousands_that_is_gone_is_left_out(s3: S3Server, small: str) -> None:
    store = store_at(s3, small)
    for name in [*SMALL][::2]:
        store.delete(name)
    assert texts(read(store)) == dict([*SMALL.items()][1::2])


def test_the_reader_needs_only_the_right_to_read(s3: S3Server, small: str) -> None:
    store = store_at(replace(s3, key=READERS_KEY, secret=READERS_SECRET), small)
    asked = Requests(store)
    assert texts(read(store)) == SMALL
    assert asked.number == 1


def test_a_role_is_used(s3: S3Server, small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with run_sts() as (url, requests):
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", url)
        store = store_at(s3, small, role_arn="arn:aws:iam::1:role/r")
        asked = Requests(store)
        assert texts(read(store)) == SMALL
        assert asked.number == 1
        assert len(requests) == 1


def test_a_server_below_a_path(s3: S3Server, bucket: str) -> None:
    fill(s3, bucket, SMALL, "ours")  # with spaces in keys, this server computes other signatures
    with run_proxy(s3, prefix="/storage/v1/s3") as running:
        store = store_at(replace(s3, url=running.url), bucket, prefix="ours")
        asked = Requests(store)
        assert texts(read(store)) == SMALL
        assert asked.number == 1
        assert all("/storage/v1/s3/" in request for request in running.requests)


def trust_in_settings(file: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    return {"ca_bundle": str(file)}


def trust_by_variable(file: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(file))
    return {}


def trust_by_other_variable(file: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(file))
    return {}


def trust_by_profile(file: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    config = file.with_name("config")
    config.write_text(f"[profile ours]\nca_bundle = {file}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "ours")
    return {}


@pytest.mark.parametrize(
    "trust", [trust_in_settings, trust_by_variable, trust_by_other_variable, trust_by_profile]
)
def test_a_private_authority_is_trusted_as_the_client_trusts_it(
    s3: S3Server,
    small: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trust: Callable[[Path, pytest.MonkeyPatch], dict[str, Any]],
) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with run_proxy(s3, tls=context) as running:
        server = replace(s3, url=running.url)
        store = store_at(server, small, **trust(tmp_path / "ca.pem", monkeypatch))
        asked = Requests(store)
        assert texts(read(store)) == SMALL
        assert asked.number == 1


def test_the_certificate_is_checked_for_each_connection(
    s3: S3Server, small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only by the client: here only the reader meets another server, which gets no request."""
    authority, context, other = trustme.CA(), *(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _ in range(2))
    authority.issue_cert("localhost").configure_cert(context)
    trustme.CA().issue_cert("localhost").configure_cert(other)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with run_proxy(s3, tls=context) as running, run_proxy(s3, tls=other) as foreign:
        store = store_at(replace(s3, url=running.url), small, ca_bundle=str(tmp_path / "ca.pem"))
        ours, theirs = (int(re.findall(r":(\d+)", one.url)[0]) for one in (running, foreign))
        connect = HTTPSConnection
        monkeypatch.setattr(
            quick,
            "HTTPSConnection",
            lambda host, port, **more: connect(host, theirs if port == ours else port, **more),
        )
        asked = Requests(store)
        assert texts(read(store)) == SMALL
        assert asked.number == len(SMALL)
        assert foreign.requests == []


def test_a_proxy_of_the_network_is_left_to_the_client(
    s3: S3Server, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, name = store_at(s3, small), next(iter(SMALL))
    with quick.watch(store._bucket.client) as seen:
        store._read_one(name, MiB)
    opened = quick.open_quick_reader(store._bucket, seen, name)
    assert opened is not None
    assert opened.read(name, MiB) == store._read_one(name, MiB)
    assert quick.open_quick_reader(store._bucket, quick.Watched(), name) is None
    assert quick.open_quick_reader(store._bucket, seen, "another") is None
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example.com:3128")
    assert quick.open_quick_reader(store._bucket, seen, name) is None


def test_no_secret_is_shown(s3: S3Server, small: str) -> None:
    store, name = store_at(s3, small), next(iter(SMALL))
    with quick.watch(store._bucket.client) as seen:
        store._read_one(name, MiB)
    assert s3.secret not in repr(quick.open_quick_reader(store._bucket, seen, name))


@pytest.mark.parametrize(
    "text",
    [
        "2014-05-29T10:11:12.000Z",
        "2014-05-29T10:11:12Z",
        "2014-05-29T10:11:12.123456Z",
        "2014-05-29T10:11:12+02:00",
        "Thu, 29 May 2014 10:11:12 GMT",
        "1401358272",
        1401358272,
        1401358272.5,
    ],
)
def test_times_are_those_of_botocore(text: Any) -> None:
    assert parse_time(text) == parse_timestamp(text)
    if str(text).endswith("Z"):
        assert parse_time(text).utcoffset() == timedelta(0)
    assert parse_time(text) - datetime(2014, 5, 29, tzinfo=UTC) < timedelta(days=1)


@pytest.mark.parametrize("text", ["", "Z", "yesterday", "yesterdaZ"])
def test_a_time_that_is_none_is_an_error_as_in_botocore(text: str) -> None:
    with pytest.raises(ValueError) as expected:
        parse_timestamp(text)
    with pytest.raises(type(expected.value)):
        parse_time(text)
