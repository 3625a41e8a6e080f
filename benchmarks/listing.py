"""10,000 backups in a bucket: ``python -m benchmarks.listing [--rounds N]``, from the top of the repository.

The first `list_backups` on a machine, and the second, which has the cache of the first; beside a script with
boto3 that reads the same manifests by as many threads, and one that shows only names, as `aws s3 ls` does.
SeaweedFS is the server, on loopback and on the same cores. Some 4 minutes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.pairs import paired_ratio, print_head, print_peak, print_row, time_and_weigh, time_in_turns
from tests.backups.test_many import fill
from tests.support.servers.s3 import S3Server, run_s3

ROUNDS = 5
BUCKET = "backups"
MANY = 10_000
# In seconds.
FIRST_LIMIT, SECOND_LIMIT = 6.0, 2.0
NAMES = """
import sys, boto3
client = boto3.client("s3", endpoint_url=sys.argv[1], region_name="us-east-1",
                      aws_access_key_id=sys.argv[2], aws_secret_access_key=sys.argv[3])
pages = client.get_paginator("list_objects_v2").paginate(Bucket="backups")
names = [entry["Key"] for page in pages for entry in page["Contents"]]
print("\\n".join(names))
"""
MANIFESTS = (
    NAMES
    + """
import json
from concurrent.futures import ThreadPoolExecutor
def read(name):
    return json.loads(client.get_object(Bucket="backups", Key=name)["Body"].read())
with ThreadPoolExecutor(10) as threads:
    for manifest in threads.map(read, [name for name in names if name.endswith(".json")]):
        print(manifest["archive"], manifest["environment"], manifest["taken_at"])
"""
)


@dataclass
class Runs:
    """Runs commands in a project, the one called ``first`` without a cache; keeps their ``peaks``."""

    folder: Path
    cache: Path
    first: Sequence[str]
    peaks: dict[int, int] = field(default_factory=dict)

    def run(self, command: Sequence[str], _: Path | None) -> float:
        if command is self.first:
            shutil.rmtree(self.cache, ignore_errors=True)
        seconds, peak = time_and_weigh(command, self.folder)
        self.peaks[id(command)] = max(peak, self.peaks.get(id(command), 0))
        return seconds


@contextmanager
def many_backups(top: Path) -> Iterator[S3Server]:
    """Run a server whose bucket has `MANY` backups, and make a project in ``top / "project"``."""
    (top / "s3").mkdir()
    with run_s3(top / "s3") as server:
        client = server.client()
        client.create_bucket(Bucket=BUCKET)
        fill(top / "files", MANY)

        def put(path: Path) -> None:
            client.put_object(Bucket=BUCKET, Key=path.name, Body=path.read_bytes())

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(put, (top / "files").glob("*.dmp.*")))
        settings = top / "project" / "migrations" / "settings.py"
        settings.parent.mkdir(parents=True)
        environments = {"dev": {"embedded": True, "db_name": "app"}}
        stores = {"S3": server.settings(BUCKET)}
        settings.write_text(f"ENVIRONMENTS = {environments!r}\nBACKUPS = {stores!r}\n")
        yield server


def measure(top: Path, server: S3Server, rounds: int) -> None:
    """Time the commands in turns, and print the table."""
    monarch = str(Path(sys.executable).with_name("monarch"))
    os.environ["XDG_CACHE_HOME"] = str(top / "cache")
    where = [server.url, server.key, server.secret]
    commands: Mapping[str, Sequence[str]] = {
        "boto3: names and manifests": [sys.executable, "-c", MANIFESTS, *where],
        "list_backups, the first time": [monarch, "list_backups"],
        "list_backups, the second time": [monarch, "list_backups"],
        "boto3: only names": [sys.executable, "-c", NAMES, *where],
    }
    manifests, first, second, names = commands
    runs = Runs(top / "project", top / "cache" / "monarch", commands[first])
    times = time_in_turns(commands, rounds, top, runs.run)
    print_head(
        f"{MANY:,} backups in a bucket, median of {rounds} rounds taken in turns",
        "SeaweedFS 4.48, on loopback and on the same cores",
    )
    print_row(times[manifests])
    print_row(times[first], paired_ratio(times[first], times[manifests]), "that")
    print_row(times[second], paired_ratio(times[second], times[manifests]), "that")
    print_row(times[names], paired_ratio(times[names], times[manifests]), "that")
    print()
    for name in (first, second):
        print_peak(name, runs.peaks[id(commands[name])])
    for name, limit in ((first, FIRST_LIMIT), (second, SECOND_LIMIT)):
        kept = "kept" if times[name].median <= limit else "MISSED"
        fastest = min(times[name].seconds)
        print(
            f"{name}: {times[name].median:.1f} s, the fastest {fastest:.1f} s (at most {limit:.0f} s: {kept})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.listing")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as temporary, many_backups(Path(temporary)) as server:
        measure(Path(temporary), server, rounds)


if __name__ == "__main__":
    main()
