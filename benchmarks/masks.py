"""What each mask costs by itself: ``python -m benchmarks.masks``.

Prints the microseconds a value, which are the seconds a million: for values that all differ, and for few
values that occur often, which a mask may remember. Processor time of one process, without a database.
"""

from __future__ import annotations

import platform
import random
import string
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from monarch import privacy
from monarch.privacy.key import MaskingKey
from monarch.privacy.rules import Mask, ValueKind
from monarch.system.secrets import Secret

COUNT = 20_000
FEW = 200
ROUNDS = 3

Make = Callable[[random.Random], Any]


def digits(chance: random.Random, count: int) -> str:
    return "".join(chance.choices(string.digits, k=count))


def name(chance: random.Random) -> str:
    first, last = (chance.choices(string.ascii_lowercase, k=chance.randint(3, 9)) for _ in range(2))
    return f"{''.join(first).title()} {''.join(last).title()}"


def mail(chance: random.Random) -> str:
    return f"{name(chance).lower().replace(' ', '.')}@gmail.com"


def prose(chance: random.Random) -> str:
    return " ".join(name(chance) for _ in range(20))


def moment(chance: random.Random) -> int:
    return chance.randrange(1 << 41)


CASES: Sequence[tuple[Mask, ValueKind, Make]] = (
    (privacy.full_name(), ValueKind.TEXT, name),
    (privacy.first_name(), ValueKind.TEXT, name),
    (privacy.last_name(), ValueKind.TEXT, name),
    (privacy.username(), ValueKind.TEXT, name),
    (privacy.username(unique=True), ValueKind.TEXT, name),
    (privacy.email(), ValueKind.TEXT, mail),
    (privacy.email(unique=True), ValueKind.TEXT, mail),
    (privacy.company(), ValueKind.TEXT, name),
    (privacy.street(), ValueKind.TEXT, name),
    (privacy.city(), ValueKind.TEXT, name),
    (privacy.postcode(), ValueKind.TEXT, lambda chance: digits(chance, 5)),
    (privacy.phone(), ValueKind.TEXT, lambda chance: f"+49 171 {digits(chance, 7)}"),
    (privacy.phone(unique=True), ValueKind.TEXT, lambda chance: f"+49 171 {digits(chance, 7)}"),
    (privacy.text(), ValueKind.TEXT, prose),
    (privacy.blank(), ValueKind.TEXT, prose),
    (privacy.hashed(), ValueKind.TEXT, prose),
    (privacy.constant("x"), ValueKind.TEXT, prose),
    (privacy.choice("a", "b", "c"), ValueKind.TEXT, name),
    (privacy.url(), ValueKind.TEXT, lambda chance: f"https://{name(chance)[:5]}.org/{digits(chance, 9)}"),
    (privacy.ip(), ValueKind.TEXT, lambda chance: ".".join(str(chance.randrange(256)) for _ in range(4))),
    (
        privacy.ip(unique=True),
        ValueKind.TEXT,
        lambda chance: ".".join(str(chance.randrange(256)) for _ in range(4)),
    ),
    (privacy.mac(), ValueKind.TEXT, lambda chance: chance.randbytes(6).hex(":")),
    (privacy.iban(), ValueKind.TEXT, lambda chance: f"DE{digits(chance, 20)}"),
    (privacy.card(), ValueKind.TEXT, lambda chance: f"4{digits(chance, 15)}"),
    (privacy.national_id(), ValueKind.TEXT, lambda chance: f"{digits(chance, 3)}-{digits(chance, 6)}"),
    (privacy.identifier(), ValueKind.TEXT, lambda chance: f"KD-{digits(chance, 8)}"),
    (privacy.identifier(), ValueKind.INTEGER, lambda chance: chance.randrange(1 << 31)),
    (privacy.identifier(), ValueKind.OBJECT_ID, lambda chance: chance.randbytes(12)),
    (privacy.identifier(), ValueKind.UUID, lambda chance: chance.randbytes(16)),
    (privacy.identifier(), ValueKind.BINARY, lambda chance: chance.randbytes(32)),
    (privacy.number(), ValueKind.FLOAT, lambda chance: chance.expovariate(0.01)),
    (privacy.number(), ValueKind.INTEGER, lambda chance: chance.randrange(1 << 20)),
    (privacy.number(), ValueKind.DECIMAL, lambda chance: Decimal(chance.randrange(1 << 20)) / 100),
    (privacy.number(unique=True), ValueKind.INTEGER, lambda chance: chance.randrange(1 << 20)),
    (privacy.shift_date(), ValueKind.DATE, moment),
    (privacy.shift_date(), ValueKind.TEXT, lambda chance: f"{chance.randint(1900, 2030)}-05-17"),
    (privacy.location(), ValueKind.FLOAT, lambda chance: chance.uniform(-90, 90)),
)


def measure(mask: Mask, kind: ValueKind, values: Sequence[Any]) -> float:
    """The microseconds a value, the best of some rounds; each begins with nothing remembered."""
    best = float("inf")
    for _ in range(ROUNDS):
        function = mask.bind(MaskingKey(Secret("a key for benchmarks"), lasting=True))[kind]
        function(values[0])
        began = time.process_time()
        for value in values:
            function(value)
        best = min(best, time.process_time() - began)
    return best / len(values) * 1e6


def main() -> None:
    chance = random.Random(18)
    print(f"What masks cost, microseconds a value (seconds a million), Python {platform.python_version()}")
    print(f"{'mask':24} {'type':10} {'all differ':>10} {f'{FEW} values':>10}")
    for mask, kind, make in CASES:
        values = [make(chance) for _ in range(COUNT)]
        few = chance.choices(values[:FEW], k=COUNT)
        print(f"{mask!r:24} {kind:10} {measure(mask, kind, values):10.2f} {measure(mask, kind, few):10.2f}")


if __name__ == "__main__":
    main()
