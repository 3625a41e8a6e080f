"""A shop: orders, customers, addresses, payments, carts. One collection has German names of fields."""

from __future__ import annotations

import random
from typing import Any

from bson import Decimal128

from tests.support.people.dataset import (
    CITIES,
    PRODUCTS,
    STREETS,
    DataSet,
    Documents,
    Person,
    birthday,
    card,
    digest,
    iban,
    invent,
    ip,
    moment,
    object_id,
    phone,
    sentence,
    tax_id,
    words,
)


def build(rng: random.Random, count: int) -> Documents:
    people = [invent(rng, number) for number in range(count)]
    return {
        "kunden": [kunde(rng, one) for one in people],
        "addresses": [address(rng, one) for one in people],
        "orders": [order(rng, rng.choice(people), number) for number in range(2 * count)],
        "payments": [payment(rng, rng.choice(people)) for _ in range(2 * count)],
        "carts": [cart(rng) for _ in range(count)],
        "products": [product(rng, number) for number in range(count)],
        "newsletter": [
            {"_id": one.mail, "subscribed": True, "source": "checkout", "since": moment(rng)}
            for one in people
        ],
        "staff": [employee(rng, one) for one in people[: count // 2]],
        "countries": [
            {"_id": code, "name": name, "vat": 19} for code, name in (("DE", "Germany"), ("FR", "France"))
        ],
    }


def kunde(rng: random.Random, one: Person) -> dict[str, Any]:
    return {
        "_id": object_id(rng),
        "kundennummer": 10_000 + one.number,
        "anrede": rng.choice(["Frau", "Herr"]),
        "vorname": one.first,
        "nachname": one.last,
        "geburtsdatum": birthday(rng),
        "email": one.mail,
        "telefon": {"privat": phone(rng), "mobil": phone(rng)},
        "anschrift": {
            "strasse": rng.choice(STREETS),
            "hausnummer": str(rng.randrange(1, 99)),
            "plz": f"{rng.randrange(1000, 99999):05}",
            "ort": rng.choice(CITIES),
            "land": "DE",
        },
        "bankverbindung": {"iban": iban(rng), "bic": "COBADEFFXXX", "kontoinhaber": one.name},
        "steuer_id": tax_id(rng),
        "bemerkung": sentence(rng) if rng.random() < 0.3 else None,
        "newsletter": True,
        "angelegt_am": moment(rng),
        "passwort_hash": f"$argon2id$v=19$m=65536,t=3,p=4${digest(rng)[:22]}${digest(rng)[:43]}",
    }


def address(rng: random.Random, one: Person) -> dict[str, Any]:
    return {
        "_id": object_id(rng),
        "customerId": object_id(rng),
        "firstName": one.first,
        "lastName": one.last,
        "company": f"{one.last} GmbH" if rng.random() < 0.3 else None,
        "line1": f"{rng.choice(STREETS)} {rng.randrange(1, 99)}",
        "line2": None,
        "city": rng.choice(CITIES),
        "postalCode": f"{rng.randrange(1000, 99999):05}",
        "country": "DE",
        "phone": phone(rng),
        "geo": {"lat": 48 + rng.random(), "lng": 11 + rng.random()},
        "isDefault": True,
        "type": rng.choice(["billing", "shipping"]),
    }


def order(rng: random.Random, one: Person, number: int) -> dict[str, Any]:
    where = address(rng, one)
    return {
        "_id": object_id(rng),
        "orderNumber": f"2024-{number:06}",
        "user_email": one.mail,
        "placedBy": one.name,
        "status": rng.choice(["paid", "shipped", "cancelled"]),
        "items": [
            {
                "sku": f"SKU-{rng.randrange(9999)}",
                "name": rng.choice(PRODUCTS),
                "quantity": rng.randrange(1, 4),
                "price": Decimal128("19.99"),
                "note": sentence(rng, 8, 16) if rng.random() < 0.3 else None,
            }
            for _ in range(2)
        ],
        "shippingAddress": {
            key: where[key]
            for key in ("firstName", "lastName", "line1", "city", "postalCode", "country", "phone")
        },
        "giftMessage": sentence(rng) if rng.random() < 0.2 else None,
        "ipAddress": ip(rng),
        "userAgent": f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_{rng.randrange(9)}) AppleWebKit/537.36",
        "totals": {"net": Decimal128("33.60"), "vat": Decimal128("6.38"), "currency": "EUR"},
        "coupon": rng.choice(["SUMMER", "WELCOME"]),
        "trackingNumber": f"1Z{digest(rng)[:16].upper()}",
        "history": [{"status": "paid", "at": moment(rng), "by": "system"}],
        "createdAt": moment(rng),
    }


def payment(rng: random.Random, one: Person) -> dict[str, Any]:
    made: dict[str, Any] = {
        "_id": object_id(rng),
        "orderId": object_id(rng),
        "amount": Decimal128("39.98"),
        "currency": "EUR",
        "method": rng.choice(["card", "sepa"]),
        "payer": {"email": one.mail, "fullName": one.name},
        "transactionId": f"txn_{digest(rng)[:24]}",
        "createdAt": moment(rng),
    }
    if made["method"] == "card":
        made["card"] = {
            "number": card(rng),
            "last4": str(rng.randrange(1000, 9999)),
            "brand": "visa",
            "holder": one.name.upper(),
            "expMonth": 5,
            "expYear": 2028,
        }
        made["gatewayToken"] = f"tok_{digest(rng)[:24]}"
    else:
        made["sepa"] = {"iban": iban(rng), "mandate": f"M-{rng.randrange(10**6)}"}
    return made


def cart(rng: random.Random) -> dict[str, Any]:
    return {
        "_id": object_id(rng),
        "customerId": object_id(rng),
        "sessionId": digest(rng)[:40],
        "items": [{"sku": f"SKU-{rng.randrange(9999)}", "quantity": 1, "price": Decimal128("19.99")}],
        "updatedAt": moment(rng),
    }


def product(rng: random.Random, number: int) -> dict[str, Any]:
    return {
        "_id": object_id(rng),
        "sku": f"SKU-{number}",
        "name": rng.choice(PRODUCTS),
        "description": sentence(rng),
        "price": Decimal128("19.99"),
        "ean": "".join(str(rng.randrange(10)) for _ in range(13)),
        "brand": {"name": rng.choice(["Holm", "Birke", "Nord"]), "website": "https://brand.example/"},
        "images": [f"https://cdn.shop.example/p/{digest(rng)[:12]}.jpg"],
        "stock": {"berlin": 3, "hamburg": 0},
        "rating": {"average": rng.random() * 5, "count": rng.randrange(99)},
    }


def employee(rng: random.Random, one: Person) -> dict[str, Any]:
    return {
        "_id": object_id(rng),
        "name": {"first": one.first, "last": one.last},
        "login": one.login,
        "dob": birthday(rng).date().isoformat(),
        "salary": rng.randrange(30_000, 90_000),
        "ssn": f"{rng.randrange(100, 600)}-{rng.randrange(10, 99)}-{rng.randrange(1000, 9999)}",
        "nationality": rng.choice(["DE", "FR", "PL"]),
        "maritalStatus": rng.choice(["single", "married"]),
        "emergency_contact": {"name": invent(rng, 0).name, "relation": "mother", "phone": phone(rng)},
        "laptop_mac": ":".join(f"{rng.randrange(256):02x}" for _ in range(6)),
        "department": rng.choice(["sales", "support"]),
        "apiKey": f"sk_live_{digest(rng)[:24]}",
    }


SHOP = DataSet(
    "shop",
    build,
    frozenset(
        words(
            """kunden.anrede kunden.vorname kunden.nachname kunden.geburtsdatum kunden.email
            kunden.telefon.privat kunden.telefon.mobil kunden.anschrift.strasse
            kunden.anschrift.hausnummer kunden.anschrift.plz kunden.anschrift.ort
            kunden.bankverbindung.iban kunden.bankverbindung.bic kunden.bankverbindung.kontoinhaber
            kunden.steuer_id kunden.bemerkung kunden.passwort_hash addresses.firstName
            addresses.lastName addresses.company addresses.line1 addresses.city addresses.postalCode
            addresses.phone addresses.geo.lat addresses.geo.lng orders.user_email orders.placedBy
            orders.items[].note orders.shippingAddress.firstName orders.shippingAddress.lastName
            orders.shippingAddress.line1 orders.shippingAddress.city orders.shippingAddress.postalCode
            orders.shippingAddress.phone orders.giftMessage orders.ipAddress orders.userAgent
            orders.trackingNumber payments.payer.email payments.payer.fullName payments.card.number
            payments.card.last4 payments.card.holder payments.gatewayToken payments.sepa.iban
            carts.sessionId newsletter._id staff.name.first staff.name.last staff.login staff.dob
            staff.salary staff.ssn staff.nationality staff.maritalStatus staff.emergency_contact.name
            staff.emergency_contact.phone staff.laptop_mac staff.apiKey"""
        )
    ),
    (("kunden", "email"), ("kunden", "kundennummer")),
)
