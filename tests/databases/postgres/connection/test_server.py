"""A real server by TLS, a unix socket, a service and a passfile, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trustme

from monarch.databases import open_database
from monarch.errors import ServerError
from monarch.settings.environments import parse_environment
from tests.support.servers.mongod import PASSWORD, USER
from tests.support.servers.postgres import CERTIFIED, PostgresServer

IS_ENCRYPTED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


def entry(server: PostgresServer, **keys: object) -> dict[str, Any]:
    made = {"kind": "postgres", "host": "localhost", "port": server.port, "db_name": "postgres"}
    made |= {"username": USER, "password": PASSWORD, **keys}
    return {key: value for key, value in made.items() if value is not None}


def verified(server: PostgresServer, **keys: object) -> dict[str, Any]:
    return entry(server, **{"sslmode": "verify-full", "sslrootcert": str(server.folder / "ca.pem"), **keys})


def is_encrypted(keys: dict[str, Any]) -> bool:
    """Connect, and return whether the connection has TLS."""
    with open_database(parse_environment("billing", keys), Path()) as database:
        connection: Any = database.handles()["connection"]
        return bool(connection.execute(IS_ENCRYPTED).fetchone()[0])


def refusal(keys: dict[str, Any]) -> ServerError:
    """Return the error of a connection, which is of one line and has a hint."""
    with (
        open_database(parse_environment("billing", keys), Path()) as database,
        pytest.raises(ServerError) as caught,
    ):
        database.history.read()
    assert "\n" not in caught.value.message
    assert PASSWORD not in f"{caught.value.message}{caught.value.hint}"
    assert caught.value.hint
    return caught.value


def test_tls(postgres_15: PostgresServer) -> None:
    assert is_encrypted(verified(postgres_15))
    assert not is_encrypted(entry(postgres_15, sslmode="disable"))


def test_a_certificate_of_another_authority(postgres_15: PostgresServer, tmp_path: Path) -> None:
    other = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    error = refusal(verified(postgres_15, sslrootcert=str(other)))
    assert "certificate verify failed" in error.message
    assert "'sslrootcert'" in str(error.hint)


def test_a_certificate_for_another_host(postgres_15: PostgresServer) -> None:
    error = refusal(verified(postgres_15, host="127.0.0.1"))
    assert 'does not match host name "127.0.0.1"' in error.message
    assert "host name" in str(error.hint)


def test_no_file_with_the_authority(postgres_15: PostgresServer, tmp_path: Path) -> None:
    error = refusal(verified(postgres_15, sslrootcert=str(tmp_path / "none.pem")))
    assert "none.pem" in error.message
    assert "does not exist; Either provide" in error.message
    assert "'sslrootcert'" in str(error.hint)


def test_a_wrong_password(postgres_15: PostgresServer) -> None:
    error = refusal(verified(postgres_15, password="hush hush"))
    assert "does not accept user 'ro:ot@us/er'" in error.message
    assert "hush" not in error.message
    # libpq tries again without TLS, and gets the same answer.
    assert refusal(entry(postgres_15, password="hush hush")).message.count("FATAL") == 1


def test_a_client_certificate(postgres_15: PostgresServer) -> None:
    keys = verified(postgres_15, username=CERTIFIED, password=None)
    files = {
        name: str(postgres_15.folder / f"client.{end}")
        for name, end in (("sslcert", "crt"), ("sslkey", "key"))
    }
    assert is_encrypted({**keys, **files})
    without = refusal(keys)
    assert "requires a valid client certificate" in without.message
    assert "'sslcert'" in str(without.hint)
    plain = refusal({**keys, **files, "sslmode": "disable"})
    assert "does not accept user 'certified'" in plain.message
    assert "pg_hba.conf" in str(plain.hint)


def test_a_key_that_others_can_read(postgres_15: PostgresServer, tmp_path: Path) -> None:
    key = tmp_path / "client.key"
    key.write_bytes((postgres_15.folder / "client.key").read_bytes())
    key.chmod(0o644)
    certificate = str(postgres_15.folder / "client.crt")
    error = refusal(
        verified(postgres_15, username=CERTIFIED, password=None, sslcert=certificate, sslkey=str(key))
    )
    assert "client.key" in error.message
    assert "'sslkey'" in str(error.hint)


def test_a_server_without_tls(postgres: PostgresServer) -> None:
    error = refusal(entry(postgres, sslmode="require"))
    assert "does not support SSL" in error.message
    assert "'sslmode'" in str(error.hint)


def test_a_unix_socket(postgres_15: PostgresServer) -> None:
    socket = str(postgres_15.folder)
    assert not is_encrypted(entry(postgres_15, host=socket))
    uri = f"postgresql:///postgres?host={socket}&port={postgres_15.port}"
    assert not is_encrypted({"uri": uri, "username": USER, "password": PASSWORD})
    assert refusal(entry(postgres_15, host=f"{socket}/nowhere")).message.endswith("No such file or directory")


def test_a_service(postgres_15: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "pg_service.conf"
    file.write_text(f"[billing]\nhost=localhost\nport={postgres_15.port}\nuser={USER}\nsslmode=require\n")
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    keys = {"kind": "postgres", "service": "billing", "db_name": "postgres", "password": PASSWORD}
    assert is_encrypted(keys)
    error = refusal({**keys, "service": "biling"})
    assert 'definition of service "biling" not found' in error.message
    assert "'service'" in str(error.hint)


def test_a_passfile(postgres_15: PostgresServer, tmp_path: Path) -> None:
    def escaped(word: str) -> str:
        return word.replace("\\", "\\\\").replace(":", "\\:")

    file = tmp_path / "pgpass"
    file.write_text(f"localhost:{postgres_15.port}:postgres:{escaped(USER)}:{escaped(PASSWORD)}\n")
    file.chmod(0o600)
    keys = verified(postgres_15, password=None, passfile=str(file))
    assert is_encrypted(keys)
    file.chmod(0o644)
    assert "no password supplied" in refusal(keys).message
