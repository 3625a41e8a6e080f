"""Encrypted backups through the real commands: folder and bucket, damage, keys, and without monarch."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.commands.backups.test_backups import today
from tests.commands.backups.test_buckets import keep_in, objects
from tests.commands.backups.test_restores import unpack
from tests.stores.s3.test_store import bucket as bucket  # a fixture
from tests.support.runs.shell import CommandResult
from tests.support.runs.two_environments import TwoEnvironments, assert_error
from tests.support.samples.ages import Key, make_key, make_ssh_key
from tests.support.samples.equality import assert_equal, describe
from tests.support.servers.s3 import S3Server

pytestmark = pytest.mark.server
FIRST = "this is the first encrypted backup here. Without the private key of a recipient nobody can read it"


@pytest.fixture
def key(tmp_path: Path) -> Key:
    return make_key(tmp_path / "keys.txt")


@pytest.fixture
def store_folder(two: TwoEnvironments, key: Key) -> Path:
    """The folder of the store, with an encrypted backup of today."""
    folder = two.folder.keep_backups()
    two.folder.encrypt_backups(key.recipient, identities=key.path)
    backed_up(two)
    return folder


def backed_up(two: TwoEnvironments, *arguments: str) -> CommandResult:
    made = two.folder.invoke("backup", "production", "--name", "app", "--engine", "native", *arguments)
    assert made.code == 0, made.output
    return made


def the_archive(store_folder: Path) -> Path:
    return store_folder / f"{today('app')}.dmp.zst.age"


def restore(two: TwoEnvironments) -> CommandResult:
    return two.folder.invoke("restore", f"{today('app')}:dev", "--yes", "--engine", "native")


def test_the_story(two: TwoEnvironments, key: Key) -> None:
    store_folder = two.folder.keep_backups()
    two.folder.encrypt_backups(key.recipient, identities=key.path)
    first = backed_up(two)
    assert FIRST in first.err
    assert "'identities' is not set" not in first.err
    assert "Note" not in backed_up(two).err
    archive = the_archive(store_folder)
    assert {path.name for path in store_folder.iterdir()} >= {archive.name, f"{archive.name}.json"}
    assert archive.read_bytes().startswith(b"age-encryption.org/v1\n")
    assert b"user 1" not in archive.read_bytes()
    listed = two.folder.invoke("list_backups", "--json").json
    assert [(row["state"], row["encrypted"]) for row in listed] == [("good", True)] * 2
    shown = two.folder.invoke("show_backup", today("app"))
    assert f"Recipient {key.recipient}" in " ".join(shown.out.split())
    verified = two.folder.invoke("verify_backup", today("app"))
    assert verified.code == 0
    assert "encrypted, so only its SHA-256 was checked (to decrypt it: --deep)" in verified.out
    deep = two.folder.invoke("verify_backup", "--all", "--deep", "--json")
    assert [(row["good"], row["contents_checked"]) for row in deep.json] == [(True, True)] * 2
    restored = restore(two)
    assert (restored.code, restored.err) == (0, "")
    two.assert_copied()
    deleted = two.folder.invoke("delete_backup", today("app"), f"{today('app')}_2", "--yes")
    assert deleted.code == 0
    assert not archive.exists()
    assert not archive.with_name(f"{archive.name}.json").exists()


def test_a_bucket_and_several_keys(two: TwoEnvironments, key: Key, s3: S3Server, bucket: str) -> None:
    keep_in(two.folder, s3.settings(bucket))
    ssh = make_ssh_key(key.path.with_name("id_ed25519"))
    two.folder.encrypt_backups(key.recipient, ssh.recipient, identities=ssh.path)
    name = json.loads(backed_up(two, "--codec", "gz", "--json").out)["name"]
    assert objects(s3, bucket) == {f"{name}.dmp.gz.age", f"{name}.dmp.gz.age.json", f"{name}.journal"}
    assert two.folder.invoke("verify_backup", name).code == 0
    restored = two.folder.invoke("restore", "production:dev", "--yes")
    assert restored.code == 0, restored.output
    two.assert_copied()


def test_a_machine_with_recipients_alone_backs_up_and_does_not_read(
    two: TwoEnvironments, key: Key, tmp_path: Path
) -> None:
    two.folder.keep_backups()
    two.folder.encrypt_backups(key.recipient)
    assert "'identities' is not set, so it cannot be read here." in backed_up(two).err
    assert two.folder.invoke("verify_backup", "--all").code == 0
    no_key = "The backup is encrypted, and no key is known to this machine"
    assert_error(restore(two), 2, no_key, "Set 'identities' in BACKUPS['encrypt']")
    deep = two.folder.invoke("verify_backup", "--all", "--deep")
    assert_error(deep, 2, f"1 of 1 backup could not be decrypted: {today('app')}. {no_key}", "You have lost")
    assert deep.out.startswith(f"no key {today('app')}: {no_key}")
    two.folder.encrypt_backups(key.recipient, identities=tmp_path / "gone")
    assert_error(restore(two), 2, f"There is no file {tmp_path}/gone", "Copy the file of keys there")
    other = make_key(tmp_path / "other")
    two.folder.encrypt_backups(other.recipient, identities=other.path)
    wrong = f"The key in {other.path} does not open the backup. It is encrypted for {key.recipient}"
    assert_error(restore(two), 2, wrong, "Add the private key of one of these")
    settings = two.folder.path / "migrations/settings.py"
    with settings.open("a") as file:
        file.write("def on_failure(context, error):\n    print('told', error.message)\n")
    assert f"told {wrong}" in restore(two).out
    two.assert_unchanged()


@pytest.mark.parametrize("more", [[], ["--in-place"]])
@pytest.mark.parametrize("place", [30, 150, 0.5, -1, "cut", "cut in the header", "appended"])
def test_a_changed_archive_is_found_before_anything_is_touched(
    two: TwoEnvironments, store_folder: Path, place: int | float | str, more: list[str]
) -> None:
    archive = the_archive(store_folder)
    data = bytearray(archive.read_bytes())
    if isinstance(place, str):
        changed = {"cut": data[:-5], "cut in the header": data[:40], "appended": data + b"x"}[place]
        manifest = archive.with_name(f"{archive.name}.json")
        pretend_size(manifest, len(changed))
    else:
        data[int(place * len(data)) if isinstance(place, float) else place] ^= 2
        changed = data
    archive.write_bytes(changed)
    result = two.folder.invoke("restore", f"{today('app')}:dev", "--yes", *more)
    broken = f"Backup '{today('app')}' is broken: .*'dev' is as it was"
    assert_error(result, 1, broken, "There is no other good backup")
    two.assert_unchanged()
    assert two.folder.invoke("verify_backup", today("app")).code == 1
    assert two.folder.invoke("verify_backup", today("app"), "--deep").code == 1


def pretend_size(manifest: Path, size: int) -> None:
    """Write another size into a manifest, as somebody may who can write to the store."""
    from monarch.backups.manifest import Manifest

    found = Manifest.from_bytes(manifest.read_bytes())
    object.__setattr__(found, "size", size)
    manifest.write_bytes(found.to_bytes())


def test_keys_that_others_can_read(two: TwoEnvironments, store_folder: Path, key: Key) -> None:
    key.path.chmod(0o644)
    restored = restore(two)
    assert restored.code == 0
    assert f"other users of this machine can read the private key in {key.path}: chmod 600 it" in restored.err


def test_an_encrypted_archive_without_its_manifest(two: TwoEnvironments, store_folder: Path) -> None:
    archive = the_archive(store_folder)
    archive.with_name(f"{archive.name}.json").unlink()
    for more in ([], ["--deep"]):
        result = two.folder.invoke("verify_backup", today("app"), *more)
        assert result.code == 1
        assert "It is encrypted: nothing but its key tells whether it is whole" in result.out
    assert restore(two).code == 1
    two.assert_unchanged()


def test_a_name_that_does_not_fit_the_manifest(two: TwoEnvironments, store_folder: Path) -> None:
    archive = the_archive(store_folder)
    plain = store_folder / archive.name.removesuffix(".age")
    shutil.copy(archive.with_name(f"{archive.name}.json"), f"{plain}.json")
    archive.rename(plain)
    archive.with_name(f"{archive.name}.json").unlink()
    assert_error(restore(two), 1, "is not encrypted, and its manifest says that it is", "list_backups")


@pytest.mark.parametrize("codec", ["zst", "gz"])
def test_a_backup_is_restored_without_monarch(
    two: TwoEnvironments, store_folder: Path, tools: Path, key: Key, codec: str
) -> None:
    """The commands are those of docs/recovery.rst, except for the address of the server."""
    age = shutil.which("age")
    if age is None:
        assert "CI" not in os.environ, "install Debian's age"
        pytest.skip("age is not installed")
    two.target.old.drop()
    report = json.loads(backed_up(two, "--codec", codec, "--json").out)
    archive = store_folder / report["archive"]
    decrypt = [age, "-d", "-i", str(key.path), str(archive)]
    packed = archive.with_suffix("")
    packed.write_bytes(subprocess.run(decrypt, stdout=subprocess.PIPE, check=True).stdout)
    where = [f"--uri={two.server.uri}", f"--nsFrom={two.source.name}.*", f"--nsTo={two.target.name}.*"]
    command = [str(tools / "mongorestore"), *where, "--archive", "--drop", "--stopOnError"]
    if codec == "gz":
        command, plain = [*command, "--gzip"], packed.read_bytes()
    else:
        plain = subprocess.run(unpack(packed), stdout=subprocess.PIPE, check=True).stdout
    done = subprocess.run(command, input=plain, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert_equal(describe(two.source), describe(two.target))


def test_a_mistake_in_the_settings(two: TwoEnvironments, key: Key) -> None:
    two.folder.keep_backups()
    secret = key.path.read_text().splitlines()[-1]
    two.folder.encrypt_backups(secret)
    result = two.folder.invoke("backup", "production")
    assert_error(result, 2, "number 1 is a private key", "age-keygen -y KEYFILE")
    assert secret not in result.output
    with (two.folder.path / "migrations/settings.py").open("a") as settings:
        settings.write("BACKUPS['encrypt'] = None\n")
    result = two.folder.invoke("backup", "production")
    assert_error(result, 2, r"BACKUPS\['encrypt'\] is empty on this machine", "leave out 'encrypt'")
    assert not (two.folder.path / "backups").exists()
