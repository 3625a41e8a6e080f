"""``BACKUPS['encrypt']`` and files of private keys: what is read, and refused without printing a key."""

from __future__ import annotations

import io
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from monarch.backups.secrecy.encryption import NOT_ENCRYPTED, Encryption, parse_encryption
from monarch.backups.secrecy.identities import NoKey, read_identities
from monarch.errors import DamagedError, MonarchError, SettingsError
from tests.support.samples.ages import Key, make_key, make_ssh_key, pyrage

IDENTITY = pyrage.x25519.Identity.generate()
SECRET, RECIPIENT = str(IDENTITY), str(IDENTITY.to_public())
MISSPELT = RECIPIENT[:-1] + ("q" if RECIPIENT[-1] != "q" else "p")


def parse(root: Path = Path("/project"), **entry: Any) -> Encryption:
    return parse_encryption({"LOCAL": {"backup_dir": "backups"}, "encrypt": entry}, root)


@pytest.mark.parametrize("backups", [None, {}, {"LOCAL": {"backup_dir": "b"}}, 3])
def test_without_encryption(backups: object) -> None:
    assert parse_encryption(backups, Path()) == NOT_ENCRYPTED


@pytest.fixture(scope="module")
def rsa(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return make_ssh_key(tmp_path_factory.mktemp("rsa") / "rsa", "rsa")


def test_recipients(tmp_path: Path, rsa: Key) -> None:
    ssh = make_ssh_key(tmp_path / "ed")
    given = [f" {RECIPIENT.upper()}\n", RECIPIENT, ssh.recipient, rsa.recipient]
    found = parse(recipients=given).recipients
    # The comment of a line of SSH, often an address of e-mail, is nobody's business.
    assert found == (RECIPIENT, *(" ".join(key.recipient.split()[:2]) for key in (ssh, rsa)))
    assert len(parse(recipients=given).sealing().keys) == 3


def test_identities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    found = parse(tmp_path, recipients=[RECIPIENT], identities=["~/keys", Path("here"), "/there", None, ""])
    assert found.identities == (tmp_path / "home/keys", tmp_path / "here", Path("/there"))
    assert parse(recipients=[RECIPIENT], identities=None).identities == ()


@pytest.mark.parametrize(
    ("entry", "message", "hint"),
    [
        ({}, "has no 'recipients', so no backup can be encrypted", "leave out 'encrypt'"),
        ({"recipients": []}, "has no 'recipients'", "age1"),
        ({"recipients": None, "identities": "keys"}, "has no 'recipients'", "age1"),
        ({"recipient": [RECIPIENT]}, "Unknown key 'recipient'", "recipients"),
        ({"recipients": RECIPIENT}, "is not a list of public keys", "age-keygen -y"),
        ({"recipients": [RECIPIENT, ""]}, "number 2 is not a text", "age-keygen -y"),
        ({"recipients": [RECIPIENT, None]}, "number 2 is not a text", "age-keygen -y"),
        ({"recipients": [RECIPIENT, MISSPELT]}, f"'{MISSPELT}' is not a valid public key", "was copied"),
        ({"recipients": ["age1yubikey1qwerty"]}, "'age1yubikey1qwerty' is not a valid", "age plugins"),
        ({"recipients": ["ssh-ed25519 AAAA me@home"]}, "'ssh-ed25519 AAAA' is not a valid", "was copied"),
        ({"recipients": ["~/.ssh/id_ed25519.pub"]}, "number 1 is not a public key of age", "a line 'ssh-"),
        ({"recipients": ["ssh-dss AAAA"]}, "number 1 is not a public key of age or SSH", "ssh-ed25519"),
        ({"recipients": [SECRET]}, "number 1 is a private key", "age-keygen -y"),
        ({"recipients": [SECRET.lower()]}, "number 1 is a private key", "Make a new key"),
        ({"recipients": [SECRET.removeprefix("AGE-SECRET-KEY-")]}, "number 1 is not a public key", "age1"),
        ({"recipients": ["-----BEGIN OPENSSH PRIVATE KEY-----\nb3"]}, "number 1 is a private key", "new key"),
        ({"recipients": [RECIPIENT], "identities": 3}, "'identities' is not the path of a file", "keys.txt"),
        ({"recipients": [RECIPIENT], "identities": SECRET}, "but a key or something else", "give the path"),
        ({"recipients": [RECIPIENT], "identities": [f"# a\n{SECRET}"]}, "but a key or something", "the path"),
    ],
    ids=count(),  # the keys are new in each process
)
def test_wrong_settings(entry: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(SettingsError) as raised:
        parse(**entry)
    assert message in raised.value.message
    assert hint in str(raised.value.hint)
    assert_no_secret(raised.value)


@pytest.mark.parametrize("entry", [None, ""])
def test_a_variable_that_is_not_set_does_not_mean_in_the_clear(entry: object) -> None:
    with pytest.raises(SettingsError, match="BACKUPS\\['encrypt'\\] is empty on this machine") as raised:
        parse_encryption({"encrypt": entry}, Path())
    assert "leave out 'encrypt'" in str(raised.value.hint)


@pytest.mark.parametrize("entry", ["age1", [RECIPIENT], 3])
def test_no_dict(entry: object) -> None:
    with pytest.raises(SettingsError, match="BACKUPS\\['encrypt'\\] is not a dict"):
        parse_encryption({"encrypt": entry}, Path())


def assert_no_secret(error: MonarchError) -> None:
    shown = f"{error.message} {error.hint}"
    assert SECRET.removeprefix("AGE-SECRET-KEY-") not in shown.upper()
    assert "\n" not in shown


def test_keys_of_files(tmp_path: Path, rsa: Key) -> None:
    first, ssh = make_key(tmp_path / "keys"), make_ssh_key(tmp_path / "ed")
    second = make_key(tmp_path / "more")
    with first.path.open("a") as file:
        file.write("\r\n\n" + second.path.read_text())
    found = read_identities((first.path, ssh.path, rsa.path))
    assert len(found.keys) == 4
    keys = (first, second, ssh, rsa)
    assert found.recipients == {" ".join(key.recipient.split()[:2]) for key in keys}
    assert found.exposed == ()
    first.path.chmod(0o640)
    assert read_identities((first.path, ssh.path)).exposed == (str(first.path),)
    secret = pyrage.encrypt(b"x", [pyrage.ssh.Recipient.from_str(ssh.recipient)])
    assert pyrage.decrypt(secret, list(found.keys)) == b"x"


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        (b"", "There is no key in", "age-keygen"),
        (b"# nothing\n", "There is no key in", "age-keygen"),
        (f"# key\n{SECRET[:-1]}".encode(), "line 2: this is not a private key of age", "AGE-SECRET-KEY-1"),
        (
            RECIPIENT.encode(),
            "holds a public key, which decrypts nothing",
            "of the private key: the private one",
        ),
        (b"\xff\x00\xfe", "line 1: this is not a private key", "age-keygen"),
        (b"age-encryption.org/v1\n-> scrypt", "are protected by a passphrase", "age -d"),
        (b"-----BEGIN AGE ENCRYPTED FILE-----\n", "are protected by a passphrase", "age -d"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3\n", "holds no private SSH key of type", "another key"),
        (None, "There is no file", "Copy the file of keys there, or set 'identities'"),
        (None, "There is no file", "If it is lost, see the manual: You have lost the key."),
    ],
    ids=count(),  # the keys are new in each process
)
def test_wrong_files(tmp_path: Path, content: bytes | None, message: str, hint: str) -> None:
    path = tmp_path / "keys"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NoKey) as raised:
        read_identities((path,))
    assert message in raised.value.message
    assert hint in str(raised.value.hint)
    assert_no_secret(raised.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(NoKey, match=f"The keys of backups in {tmp_path} cannot be read: Is a directory"):
        read_identities((tmp_path,))
    locked = make_ssh_key(tmp_path / "locked", passphrase="a long one")
    with pytest.raises(NoKey, match=r"The SSH key in .*locked is protected by a passphrase") as raised:
        read_identities((locked.path,))
    assert "ssh-keygen -p -N ''" in str(raised.value.hint)
    public = tmp_path / "id_ed25519.pub"
    public.write_text(make_ssh_key(tmp_path / "id_ed25519").recipient)
    with pytest.raises(NoKey, match=f"{public} holds a public key, which decrypts nothing") as raised:
        read_identities((public,))
    assert str(raised.value.hint).endswith(f"to the file of the private key: {tmp_path}/id_ed25519")


def test_keys_of_others_and_a_damaged_header_are_told_apart(tmp_path: Path) -> None:

    mine, other = make_key(tmp_path / "mine"), make_key(tmp_path / "other")
    secret = bytearray(pyrage.encrypt(b"plain", [pyrage.x25519.Recipient.from_str(mine.recipient)]))
    reading = Encryption((mine.recipient,), (other.path,))
    with (
        pytest.raises(
            NoKey, match=f"The key in {other.path} does not open .* for {mine.recipient}"
        ) as raised,
        reading.decrypted(io.BytesIO(bytes(secret)), (mine.recipient,)),
    ):
        pass
    assert "Add the private key of one of these" in str(raised.value.hint)
    secret[40] ^= 1
    reading = Encryption((mine.recipient,), (other.path, mine.path))
    with (
        pytest.raises(DamagedError, match="header of its encryption is damaged"),
        reading.decrypted(io.BytesIO(bytes(secret)), (mine.recipient,)),
    ):
        pass


def test_what_is_read_back_without_a_key_has_one_in_memory(tmp_path: Path) -> None:
    mine = make_key(tmp_path / "mine")
    own = Encryption((mine.recipient,), (mine.path,)).sealing(read_back=True)
    assert len(own.keys) == 1
    spare = Encryption((mine.recipient,)).sealing(read_back=True)
    secret = pyrage.encrypt(b"x", list(spare.keys))
    assert pyrage.decrypt(secret, list(spare.identities)) == b"x"
    assert pyrage.decrypt(secret, list(read_identities((mine.path,)).keys)) == b"x"
