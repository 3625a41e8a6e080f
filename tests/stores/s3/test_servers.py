"""Servers other than AWS: below a path, without an operation, with redirects, with a private authority."""

from __future__ import annotations

import itertools
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from monarch.errors import SettingsError, StoreError
from monarch.stores import open_store, parse_store
from monarch.stores.base import Store
from tests.support.runs.shell import Folder
from tests.support.servers.s3 import FaultyProxy, S3Server, run_proxy

_buckets = itertools.count(1)
pytestmark = pytest.mark.usefixtures("no_waiting")
UPLOADS = r"GET .*[?&]uploads"


@pytest.fixture
def bucket(s3: S3Server) -> str:
    name = f"servers-{next(_buckets)}"
    s3.client().create_bucket(Bucket=name)
    return name


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[FaultyProxy]:
    with run_proxy(s3) as running:
        yield running


def store_at(url: str, bucket: str, root: Path = Path(), **more: Any) -> Store:
    return open_store(parse_store({"S3": S3Server(url).settings(bucket, **more)}), root)


def put(store: Store, name: str, data: bytes) -> None:
    with store.create(name) as upload:
        upload.write(data)
        upload.finish()


def names(store: Store) -> list[str]:
    return [file.name for file in store.list()]


def test_a_server_below_a_path(s3: S3Server, bucket: str) -> None:
    with run_proxy(s3, prefix="/storage/v1/s3") as running:
        store = store_at(running.url + "/", bucket)
        store.prepare()
        put(store, "a", b"1" * 100)
        with store.open("a") as stream:
            assert stream.read(200) == b"1" * 100
        assert names(store) == ["a"]
        store.delete("a")
        assert names(store) == []
        assert all("/storage/v1/s3/" in request for request in running.requests)


@pytest.mark.parametrize("code", [(501, "NotImplemented"), (405, "MethodNotAllowed")])
def test_a_server_that_does_not_list_uploads(
    s3: S3Server, bucket: str, proxy: FaultyProxy, code: tuple[int, str]
) -> None:
    put(store_at(s3.url, bucket), "a", b"1")
    proxy.add("status", UPLOADS, code=code, times=1_000)
    store = store_at(proxy.url, bucket)
    assert names(store) == ["a"]
    with store.open("a") as stream:
        assert stream.read(9) == b"1"
    with pytest.raises(StoreError, match="does not support all of S3") as caught:
        store.create("b")
    assert "listed, verified and restored" in (caught.value.hint or "")
    store.delete("a")
    assert names(store) == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_names_its_target(bucket: str, proxy: FaultyProxy, status: int) -> None:
    target = f"https://me:hush@s3.example.com/{bucket}?list-type=2"
    proxy.add("status", code=(status, "Moved"), headers={"Location": target}, times=1_000)
    store = store_at(proxy.url, bucket)
    for act in (store.prepare, lambda: names(store), lambda: store.create("b"), lambda: store.delete("b")):
        with pytest.raises(StoreError, match=r"redirects to https://s3\.example\.com/servers-\d") as caught:
            act()
        assert "hush" not in str(caught.value)
    with pytest.raises(StoreError) as caught:
        store.prepare()
    assert caught.value.hint == "Set 'endpoint_url': 'https://s3.example.com' in BACKUPS."


def test_commands_name_the_target_of_a_redirect(folder: Folder, bucket: str, proxy: FaultyProxy) -> None:
    proxy.add(
        "status", code=(301, "Moved"), headers={"Location": f"https://s3.example.com/{bucket}"}, times=99
    )
    folder.settings(dev={"uri": "mongodb://localhost/app"})
    with (folder.path / "migrations" / "settings.py").open("a") as file:
        file.write(f"\nBACKUPS = {{'S3': {S3Server(proxy.url).settings(bucket)!r}}}\n")
    for command in (["list_backups"], ["verify_backup", "--all"], ["delete_backup", "x", "--yes"]):
        result = folder.monarch(*command)
        assert result.code == 5, result.output
        assert f"redirects to https://s3.example.com/{bucket}, and monarch does not follow." in result.err
        assert "Hint: Set 'endpoint_url': 'https://s3.example.com' in BACKUPS." in result.err


@pytest.mark.parametrize("kind", ["below a path", "does not list uploads", "of a private authority"])
def test_commands_read_a_store_on_such_a_server(
    project: Folder, s3: S3Server, bucket: str, proxy: FaultyProxy, tmp_path: Path, kind: str
) -> None:
    project.database.users.insert_one({})
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    settings = project.path / "migrations" / "settings.py"
    environments = settings.read_text()

    def use(url: str, **more: Any) -> None:
        keep = {"S3": S3Server(url).settings(bucket, **more)}
        settings.write_text(f"{environments}\nBACKUPS = {keep!r}\n")

    use(s3.url)
    assert project.monarch("backup", "dev", "--engine", "native").code == 0
    with run_proxy(s3, prefix="/storage/v1/s3") as below, run_proxy(s3, tls=context) as private:
        if kind == "below a path":
            use(below.url)
        elif kind == "does not list uploads":
            proxy.add("status", UPLOADS, code=(501, "NotImplemented"), times=1_000)
            use(proxy.url)
        else:
            use(private.url)
            refused = project.monarch("list_backups")
            assert refused.code == 5
            assert "set 'ca_bundle' in BACKUPS" in refused.err
            use(private.url, ca_bundle="ca.pem")
        for command in (["list_backups"], ["verify_backup", "--all"]):
            result = project.monarch(*command)
            assert result.code == 0, result.output


def test_a_redirect_to_somewhere_else_or_nowhere(bucket: str, proxy: FaultyProxy) -> None:
    store = store_at(proxy.url, bucket)
    proxy.add("status", code=(302, "Found"), headers={"Location": "/login"})
    with pytest.raises(StoreError, match="redirects to /login") as caught:
        store.prepare()
    assert "Check 'endpoint_url'" in (caught.value.hint or "")
    proxy.clear()
    proxy.add("status", code=(301, "Moved"), times=1_000)
    with pytest.raises(StoreError):
        store.prepare()
    assert len(proxy.requests) == 1


def test_a_private_authority(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    with run_proxy(s3, tls=context) as running:
        with pytest.raises(StoreError, match="is not trusted: unable to get local issuer") as caught:
            store_at(running.url, bucket).prepare()
        assert "set 'ca_bundle' in BACKUPS" in (caught.value.hint or "")
        with pytest.raises(StoreError, match="is not trusted") as caught:
            store_at(running.url, bucket, tmp_path, ca_bundle="other.pem").prepare()
        assert "of another authority" in (caught.value.hint or "")
        store = store_at(running.url, bucket, tmp_path, ca_bundle="ca.pem")
        put(store, "a", b"1")
        assert names(store) == ["a"]
        elsewhere = running.url.replace("localhost", "127.0.0.1")
        with pytest.raises(StoreError, match=r"is not trusted: .*match") as caught:
            store_at(elsewhere, bucket, tmp_path, ca_bundle="ca.pem").prepare()
        assert "host name of the certificate" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "message"), [(None, "cannot be read"), ("no certificate", "has no certificates")]
)
def test_a_wrong_ca_bundle(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "ca.pem").write_text(text)
    with pytest.raises(SettingsError, match=message):
        store_at("https://s3.example.com", "our-backups", tmp_path, ca_bundle="ca.pem")
