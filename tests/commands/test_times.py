"""Times in JSON have one format, which `jq fromdate` and every other program can read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.support.runs.shell import Folder

BEGINS_LIKE_A_TIME = re.compile(r"\d{4}-\d\d-\d\dT")
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z")


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from texts(one)
    elif isinstance(value, str):
        yield value


def test_every_command_prints_times_in_one_format(project: Folder) -> None:
    project.keep_backups()
    project.migration("one", "self.database.users.insert_one({})")
    name = ""
    for command, times in (
        (["migrate", "dev"], 0),
        (["list_migrations", "dev"], 1),
        (["list_migrations", "--all"], 0),
        (["history", "dev"], 1),
        (["history", "dev", "one"], 1),
        (["check", "dev"], 0),
        (["backup", "dev"], 1),
        (["list_backups"], 1),
        (["show_backup", ""], 1),
        (["copy_db", "dev:production", "--plan"], 0),
    ):
        result = project.monarch(*(word or name for word in command), "--json")
        found = []
        for line in [result.out] if command[0] != "migrate" else result.out.splitlines():
            printed = json.loads(line) if line.strip() else {}
            name = printed["name"] if command == ["backup", "dev"] else name
            found += [text for text in texts(printed) if BEGINS_LIKE_A_TIME.match(text)]
        assert len(found) >= times, (command, result.output)
        for text in found:
            assert RFC_3339.fullmatch(text), (command, text)
