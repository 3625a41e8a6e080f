"""Parts of random schemas hold every foreign key, all that was selected, and nothing else.

What a part has to hold is computed here from the rows themselves.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from monarch.databases.environment import Environment
from monarch.databases.postgres.connection.settings import uri
from monarch.querysets.queryset import QuerySet
from tests.support import counts
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.postgres_parts import dump_part, restore, select

# A row: its table, and its id there.
Row = tuple[str, int]


@dataclass
class RandomTable:
    name: str
    partitioned: bool
    has_key: bool
    parents: list[tuple[str, bool]] = field(default_factory=list)  # and whether the key is a composite one
    rows: dict[int, list[tuple[int, int] | None]] = field(default_factory=dict)  # what each key refers to

    def create(self) -> str:
        columns = ["id integer NOT NULL", "n integer NOT NULL", "label text"]
        for at, _ in enumerate(self.parents):
            columns += [f"r{at} integer", f"s{at} integer"]
        columns += ["UNIQUE (n, id)", f"{'PRIMARY KEY' if self.has_key else 'UNIQUE'} (id)"]
        if not self.partitioned:
            return f"CREATE TABLE {self.name} ({', '.join(columns)});"
        halves = (
            f"CREATE TABLE {self.name}_{half} PARTITION OF {self.name} FOR VALUES FROM ({begin}) TO ({end});"
            for half, begin, end in (("a", "MINVALUE", 7), ("b", 7, "MAXVALUE"))
        )
        partitioned = f"CREATE TABLE {self.name} ({', '.join(columns)}) PARTITION BY RANGE (id);"
        return " ".join([partitioned, *halves])

    def constrain(self) -> str:
        return " ".join(
            f"ALTER TABLE {self.name} ADD FOREIGN KEY "
            + (
                f"(s{at}, r{at}) REFERENCES {parent} (n, id);"
                if pair
                else f"(r{at}) REFERENCES {parent} (id);"
            )
            for at, (parent, pair) in enumerate(self.parents)
        )


@dataclass
class RandomSchema:
    tables: dict[str, RandomTable]

    @classmethod
    def draw(cls, chance: random.Random) -> RandomSchema:
        names = [f"t{number}" for number in range(chance.randint(2, 6))]
        tables = {name: RandomTable(name, chance.random() < 0.25, chance.random() < 0.8) for name in names}
        for table in tables.values():
            table.parents = [
                (chance.choice(names), chance.random() < 0.3) for _ in range(chance.choice([0, 1, 1, 2, 3]))
            ]
            table.rows = {number: [] for number in range(chance.choice([0, 3, 14]))}
        for table in tables.values():
            for number in table.rows:
                for parent, _ in table.parents:
                    ids = list(tables[parent].rows)
                    to = chance.choice(ids) if ids and chance.random() < 0.8 else None
                    table.rows[number].append(None if to is None else (to % 3, to))
        return cls(tables)

    def fill(self, connection: psycopg.Connection[Any]) -> None:
        for table in self.tables.values():
            connection.execute(table.create())
            for number, keys in table.rows.items():
                values: list[Any] = [number, number % 3, f"row {number}"]
                for key in keys:
                    values += [None, None] if key is None else [key[1], key[0]]
                marks = ", ".join(["%s"] * len(values))
                connection.execute(f"INSERT INTO {table.name} VALUES ({marks})", values)
        for table in self.tables.values():
            if table.parents:
                connection.execute(table.constrain())


@dataclass
class RandomQuerySet:
    """Random calls of dump_table() and follow(), with random names for only() and exclude()."""

    schema: RandomSchema
    conditions: list[tuple[str, int]]
    followed: list[tuple[str, str, int, bool]]  # parent, child, which of its keys, and onward
    only: tuple[str, ...] | None
    exclude: tuple[str, ...]

    @classmethod
    def draw(cls, schema: RandomSchema, chance: random.Random) -> RandomQuerySet:
        names = list(schema.tables)
        conditions = [(chance.choice(names), chance.randint(1, 4)) for _ in range(chance.randint(1, 3))]
        arrows = [
            (parent, table.name, at, chance.random() < 0.7)
            for table in schema.tables.values()
            for at, (parent, _) in enumerate(table.parents)
        ]
        followed = chance.sample(arrows, min(len(arrows), chance.randint(0, 3)))
        only = tuple(name for name in names if chance.random() < 0.3) if chance.random() < 0.7 else None
        exclude = tuple(name for name in names if chance.random() < 0.2)
        made = cls(schema, conditions, followed, only, exclude)
        while made.followed != (started := [one for one in made.followed if one[0] in made.started()]):
            made.followed = started
        return made

    def started(self) -> set[str]:
        """Return the tables at which a follow() may start: rows of them are selected."""
        names = {name for name, _ in self.conditions} | self.whole()
        for _ in self.schema.tables:
            names |= {child for parent, child, _, onward in self.followed if onward and parent in names}
        return names

    def whole(self) -> set[str]:
        """Return the tables that nothing names, and that are not left out."""
        named = {name for name, _ in self.conditions} | {child for _, child, _, _ in self.followed}
        rest = set(self.schema.tables) if self.only is None else set(self.only)
        return rest - set(self.exclude) - named

    def record(self) -> QuerySet:
        query_set = QuerySet()
        for name, number in self.conditions:
            query_set.dump_table(name, f"id %% {number} = %s", [0])
        for parent, child, at, onward in self.followed:
            query_set.follow(f"{parent}.id", f"{child}.r{at}", onward=onward)
        return query_set

    def expected(self) -> set[Row]:
        """Return the rows that it has to select."""
        tables = self.schema.tables
        onward = {(name, number) for name in self.whole() for number in tables[name].rows}
        for name, divisor in self.conditions:
            onward |= {(name, number) for number in tables[name].rows if number % divisor == 0}
        others: set[Row] = set()
        while True:
            before = len(onward), len(others)
            for parent, child, at, goes_on in self.followed:
                for number, keys in tables[child].rows.items():
                    if (key := keys[at]) is not None and (parent, key[1]) in onward:
                        (onward if goes_on else others).add((child, number))
            if before == (len(onward), len(others)):
                break
        needed = onward | others
        todo = list(needed)
        while todo:
            name, number = todo.pop()
            for (parent, _), key in zip(tables[name].parents, tables[name].rows[number], strict=True):
                if key is not None and (parent, key[1]) not in needed:
                    needed.add((parent, key[1]))
                    todo.append((parent, key[1]))
        return needed


@pytest.mark.parametrize("seed", counts.sample(range(300), 5))
def test_a_part_of_a_random_schema(
    seed: int, billing: Environment, target: str, postgres: PostgresServer
) -> None:
    chance = random.Random(seed)
    schema = RandomSchema.draw(chance)
    with psycopg.connect(uri(billing)) as connection:
        schema.fill(connection)
    drawn = RandomQuerySet.draw(schema, chance)
    selection = select(drawn.record(), only=drawn.only, exclude=drawn.exclude)
    dumped = dump_part(billing, selection, postgres.programs)
    restore(dumped.archive, postgres.uri(target), postgres.programs, "-1")
    with postgres.connect(target) as copy:
        found: set[Row] = set()
        for name in schema.tables:
            rows = copy.execute(f"SELECT id, label FROM {name}").fetchall()
            assert all(label == f"row {number}" for number, label in rows)
            assert len(rows) == len(set(rows))
            found |= {(name, number) for number, _ in rows}
    assert found == drawn.expected()
    assert sum(one.rows for one in dumped.part.tables) == len(found)
