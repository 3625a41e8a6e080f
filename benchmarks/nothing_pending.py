"""``migrate`` with nothing to do: ``python -m benchmarks.nothing_pending``.

Beside ``python -c 'import pymongo'``, the least that a command can cost which talks to MongoDB from
Python; and with 1,000 migrations Completed beside 10. Starts a server of its own, which asks for a password.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import datetime
from pathlib import Path

from benchmarks.pairs import paired_ratio, print_head, print_row, time_in_turns
from monarch.project import Project

ROUNDS = 30
SIZES = (10, 1000)


def make_project(folder: Path, size: int) -> Path:
    """A project with ``size`` migrations, in an embedded environment that has run them all."""
    migrations = folder / "migrations"
    migrations.mkdir(parents=True)
    (migrations / "settings.py").write_text("ENVIRONMENTS = {'dev': {'embedded': True, 'db_name': 'app'}}\n")
    for number in range(size):
        (migrations / f"_20140529{number:04}_m{number}_migration.py").write_text(
            "from monarch import MongoBackedMigration\n\n\n"
            f"class M{number}Migration(MongoBackedMigration):\n    def run(self):\n        pass\n"
        )
    return folder


def main() -> None:
    monarch = str(Path(sys.executable).with_name("monarch"))
    with tempfile.TemporaryDirectory() as temporary:
        server = make_project(Path(temporary) / "server", 0)
        with Project(server).open("dev") as database:
            uri = str(database.handles()["uri"])
            client = database.handles()["client"]
            commands = {"python -c 'import pymongo'": [sys.executable, "-c", "import pymongo"]}
            for size in SIZES:
                folder = make_project(Path(temporary) / str(size), size)
                settings = f"ENVIRONMENTS = {{'dev': {{'uri': {uri!r}, 'db_name': 'b{size}'}}}}\n"
                (folder / "migrations" / "settings.py").write_text(settings)
                client[f"b{size}"].mongo_migration_history.insert_many(  # type: ignore[index]
                    {"key": file.key, "state": "Completed", "processed_at": datetime(2014, 5, 29)}
                    for file in Project(folder).migrations()
                )
                command = f'cd "{folder}" && exec "{monarch}" migrate dev'
                commands[f"migrate, {size:,} Completed"] = ["sh", "-c", command]
            times = time_in_turns(commands, ROUNDS)
    base, few, many = times.values()
    print_head(f"Nothing pending, median of {ROUNDS} rounds taken in turns, server with a password")
    print_row(base)
    print_row(few, paired_ratio(few, base), base.name, 1.7)
    print_row(many, paired_ratio(many, base), base.name, 1.7)
    print_row(many, paired_ratio(many, few), few.name, 1.2)


if __name__ == "__main__":
    main()
