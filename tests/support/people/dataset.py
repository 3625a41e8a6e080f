"""What a data set is, and inventing people."""

from __future__ import annotations

import hashlib
import random
import string
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId

Documents = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class DataSet:
    """A database: ``build`` makes its documents. ``personal`` are ``COLLECTION.PATH`` of personal fields.

    ``unique`` are the fields of its unique indexes.
    """

    name: str
    build: Callable[[random.Random, int], Documents]
    personal: frozenset[str]
    unique: tuple[tuple[str, str], ...] = ()


def words(text: str) -> list[str]:
    """Return the words of ``text``."""
    return text.split()


# Deliberately not only the most frequent names: the detector knows some of these, and not the others.
FIRST = words(
    """Ottilie Dragan Wilhelmina Yusra Benedikt Thorben Xenia Quentin Aurelia Cosimo Ludmila Zbigniew Noor
    Ishaan Marisol Edda Jasper Solveig Caspian Ines Tadeusz Rosalind Bela Farid Henrike Oskar Milena
    Tomasz Giulia Thomas Maria Anna Michael Laura Peter Sarah Julia Daniel Sofia Lucas Emma Elif Mehmet
    Yuki"""
)
LAST = words(
    """Abendroth Blumenthal Castellano Drossel Eichendorff Fairweather Grimaldi Hollander Iwanowski
    Jankovic Kestrel Lindqvist Montague Nachtigall Oyelaran Pemberton Quiroga Rasmussen Silverthorne
    Tesfaye Underhill Vandermeer Winterbourne Yamazaki Zeller Smith Müller Garcia Rossi Kowalski
    Schneider Martin Silva Jansen Yılmaz Brown Weber"""
)
WORDS = words(
    """the cat sat on a warm stone while we were waiting for you at the old harbour and it was lovely to
    see how the evening light came over the hills thanks again for everything please call me when you
    arrive tomorrow because our neighbour has the key and my mother will visit next week"""
)
CITIES = [
    "Lindenau",
    "Brightwater",
    "Puerto",
    "Claro",
    "Oakhaven",
    "Steinfurt",
    "Valmora",
    "Kirkwell",
    "Ostermoor",
    "Belmar",
    "Zielona",
]
# None that the masks may invent.
STREETS = (
    "Lindenstraße",
    "Am Mühlbach",
    "Station Road",
    "Calle Mayor",
    "Rue des Lilas",
    "Victoria Avenue",
    "Kirchweg",
)
PRODUCTS = (
    "Oak Table",
    "Desk Lamp",
    "Garden Chair",
    "Wool Blanket",
    "Tea Pot",
    "Backpack",
    "Notepad",
    "Envelopes",
)


@dataclass(frozen=True)
class Person:
    """Somebody who does not exist."""

    first: str
    last: str
    number: int

    @property
    def name(self) -> str:
        return f"{self.first} {self.last}"

    @property
    def login(self) -> str:
        return f"{self.first}.{self.last}{self.number % 97}".lower().replace("ü", "ue").replace("ı", "i")

    @property
    def mail(self) -> str:
        return (
            f"{self.login}@{('fakemail.example', 'post.example', 'gameofthrones.example')[self.number % 3]}"
        )


def invent(rng: random.Random, number: int) -> Person:
    return Person(rng.choice(FIRST), rng.choice(LAST), number)


def phone(rng: random.Random) -> str:
    return f"+49 {rng.randrange(150, 179)} {rng.randrange(10**6, 10**8)}"


def sentence(rng: random.Random, least: int = 6, most: int = 30) -> str:
    chosen = rng.choices(WORDS, k=rng.randint(least, most))
    return " ".join(chosen).capitalize() + "."


def moment(rng: random.Random, first: int = 2015, last: int = 2024) -> datetime:
    start = datetime(first, 1, 1)
    return start + timedelta(seconds=rng.randrange((datetime(last, 12, 31) - start).days * 86400))


def birthday(rng: random.Random) -> datetime:
    return datetime(1940, 1, 1) + timedelta(days=rng.randrange(23_000))


def object_id(rng: random.Random) -> ObjectId:
    return ObjectId(bytes(rng.randrange(256) for _ in range(12)))


def word_id(rng: random.Random, size: int = 17) -> str:
    """An id as Meteor makes them."""
    return "".join(rng.choices(string.ascii_letters + string.digits, k=size))


def digest(rng: random.Random) -> str:
    return hashlib.sha256(str(rng.random()).encode()).hexdigest()


def ip(rng: random.Random) -> str:
    return ".".join(str(rng.randrange(1, 255)) for _ in range(4))


def bcrypt(rng: random.Random) -> str:
    return "$2b$12$" + "".join(rng.choices(string.ascii_letters + string.digits + "./", k=53))


def iban(rng: random.Random) -> str:
    account = "".join(rng.choices(string.digits, k=18))
    check = 98 - int(account + "131400") % 97
    return f"DE{check:02}{account}"


def card(rng: random.Random) -> str:
    digits = "4" + "".join(rng.choices(string.digits, k=14))
    doubled = [int(d) * (2 if place % 2 == 0 else 1) for place, d in enumerate(digits)]
    total = sum(n - 9 if n > 9 else n for n in doubled)
    return digits + str(-total % 10)


def tax_id(rng: random.Random) -> str:
    """A German tax id."""
    while True:
        digits = "".join(rng.sample(string.digits, 9))
        digits += digits[rng.randrange(9)]
        if digits[0] != "0":
            break
    product = 10
    for digit in digits:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return digits + str((11 - product) % 10)
