"""Backups in S3: ``python -m benchmarks.buckets [--rounds N]``, from the top of the repository.

``backup`` into a bucket, beside what people type without it: an archive on the disk, then its upload as the
AWS command line does it. And beside ``backup`` into a folder. SeaweedFS is the server, on loopback. Then the
memory of a backup of 0.3 GB and of one of 3 GB. For MongoDB's server and tools see `benchmarks.copying`.
Some 5 minutes and 15 GB of disk. For 10,000 backups see `benchmarks.listing`.
"""

from __future__ import annotations

import argparse
import random
import shlex
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo.database import Database

from benchmarks.pairs import paired_ratio, print_head, print_peak, print_row, time_and_weigh, time_in_turns
from benchmarks.sample import (
    Document,
    describe,
    fill,
    host,
    make_project,
    run_server,
    use_tools,
    words,
)
from tests.support.servers.s3 import S3Server, run_s3

ROUNDS = 5
SOURCE, SMALL, LARGE = "source", "small", "large"
BUCKET = "backups"
RATIO, GROWTH = 1.15, 1.2
# Like `aws s3 cp`: the same library with its default settings.
UPLOAD = """
import sys, boto3
client = boto3.client("s3", endpoint_url=sys.argv[1], region_name="us-east-1",
                      aws_access_key_id=sys.argv[2], aws_secret_access_key=sys.argv[3])
client.upload_file(sys.argv[4], "backups", "typed")
"""


def fill_with_texts(database: Database[Document], gigabytes: float) -> None:
    """Insert ``gigabytes`` of documents of 100 kB."""
    chance = random.Random(3)
    text = words(chance, 200_000)
    for first in range(0, int(gigabytes * 10_000), 100):
        starts = [chance.randrange(len(text) - 100_000) for _ in range(100)]
        database["texts"].insert_many(
            {"_id": first + n, "text": text[start : start + 100_000]} for n, start in enumerate(starts)
        )


def inside(folder: Path, command: Sequence[str]) -> list[str]:
    """Return a command that runs ``command`` in ``folder``."""
    return ["bash", "-c", f"cd {folder} && {shlex.join(command)}"]


@dataclass
class Runs:
    """Runs commands, each with an empty bucket and an empty folder."""

    server: S3Server
    backups: Path

    def run(self, command: Sequence[str], folder: Path | None) -> float:
        client: Any = self.server.client()
        for entry in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
            client.delete_object(Bucket=BUCKET, Key=entry["Key"])
        for old in self.backups.glob("*.dmp.*"):
            old.unlink()
        return time_and_weigh(command, folder)[0]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.buckets")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    monarch = str(Path(sys.executable).with_name("monarch"))
    with tempfile.TemporaryDirectory() as temporary:
        top = Path(temporary)
        (top / "s3").mkdir()
        with run_server(top / "data") as client, run_s3(top / "s3") as server:
            server.client().create_bucket(Bucket=BUCKET)
            tools = use_tools(top)
            fill(client[SOURCE])
            names = (SOURCE, SMALL, LARGE)
            local = {"LOCAL": {"backup_dir": str(top / "backups")}}
            near = make_project(top / "near", client, names, BACKUPS=local)
            far = make_project(top / "far", client, names, BACKUPS={"S3": server.settings(BUCKET)})
            dump = f"mongodump --host={host(client)} --db={SOURCE} --archive | zstd -q -f -o {top / 'typed'}"
            upload = [sys.executable, "-c", UPLOAD, server.url, server.key, server.secret, str(top / "typed")]
            backup = [monarch, "backup", SOURCE, "--engine"]
            commands = {
                "mongodump | zstd, then an upload": ["bash", "-c", f"{dump} && {shlex.join(upload)}"],
                **{
                    f"backup --engine {engine}, into a {place}": inside(folder, [*backup, engine])
                    for engine in ("tools", "native")
                    for place, folder in (("bucket", far), ("folder", near))
                },
            }
            times = time_in_turns(commands, rounds, top, Runs(server, top / "backups").run)
            peaks = {}
            for name, gigabytes in ((SMALL, 0.3), (LARGE, 3.0)):
                fill_with_texts(client[name], gigabytes)
                peaks[name] = time_and_weigh([monarch, "backup", name, "--engine", "native"], far)[1]
            print_head(
                f"Backups in S3, median of {rounds} rounds taken in turns, servers on loopback",
                f"{tools}, MongoDB {client.server_info()['version']}, SeaweedFS 4.48",
                describe(client[SOURCE]),
            )
    base, *ours = times.values()
    print_row(base)
    for timed in ours:
        limit = RATIO if timed.name.endswith("bucket") else None
        print_row(timed, paired_ratio(timed, base), "that", limit)
    print()
    for name, peak in peaks.items():
        print_peak(f"backup into a bucket, {name}", peak)
    growth = peaks[LARGE] / peaks[SMALL]
    kept = "kept" if growth <= GROWTH else "MISSED"
    print(f"3 GB take {growth:.2f} of the memory of 0.3 GB (at most {GROWTH}: {kept})")


if __name__ == "__main__":
    main()
