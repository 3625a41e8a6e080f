"""Collections of several kinds of applications, written after the detectors: a set that was held out."""

from __future__ import annotations

import random
import string

from tests.support.people.dataset import (
    CITIES,
    LAST,
    PRODUCTS,
    DataSet,
    Documents,
    bcrypt,
    birthday,
    digest,
    invent,
    ip,
    moment,
    object_id,
    phone,
    sentence,
    words,
)


def build(rng: random.Random, count: int) -> Documents:
    people = [invent(rng, number) for number in range(count)]
    return {
        "pacientes": [
            {
                "_id": n,
                "nhc": f"H{rng.randrange(10**6)}",
                "nombre": p.first,
                "apellido1": p.last,
                "apellido2": rng.choice(LAST),
                "fechaNac": birthday(rng),
                "sexo": rng.choice("HM"),
                "telefonoContacto": f"6{rng.randrange(10**8):08}",
                "direccion": {
                    "via": "Calle Mayor",
                    "num": rng.randrange(90),
                    "piso": "2B",
                    "cp": f"{rng.randrange(10**5):05}",
                    "poblacion": rng.choice(CITIES),
                },
                "tarjetaSanitaria": "".join(rng.choices(string.digits, k=12)),
                "alergias": ["penicilina"],
                "grupoSanguineo": "A+",
                "medicoCabecera": "Dr. " + rng.choice(LAST),
                "observacionesClinicas": sentence(rng),
                "activo": True,
            }
            for n, p in enumerate(people)
        ],
        "posts": [
            {
                "_id": object_id(rng),
                "title": sentence(rng, 3, 6),
                "slug": "a-b-c",
                "content": "<p>" + sentence(rng, 30, 60) + "</p>",
                "author": {
                    "id": object_id(rng),
                    "displayName": p.name,
                    "photoURL": "https://lh3.example/a-/" + digest(rng)[:20],
                },
                "tags": ["x", "y"],
                "likes": [rng.choice(people).login for _ in range(3)],
                "published": True,
                "createdAt": moment(rng),
            }
            for p in people
        ],
        "devices": [
            {
                "_id": object_id(rng),
                "ownerId": object_id(rng),
                "pushToken": "fcm:" + digest(rng),
                "platform": rng.choice(["ios", "android"]),
                "model": "Pixel 7",
                "appVersion": "3.2.1",
                "lastSeenIp": ip(rng),
                "lastLocation": {"type": "Point", "coordinates": [13.4 + rng.random(), 52.5 + rng.random()]},
                "imei": "".join(rng.choices(string.digits, k=15)),
            }
            for _ in people
        ],
        "_User": [
            {
                "_id": "".join(rng.choices(string.ascii_letters, k=10)),
                "_hashed_password": bcrypt(rng),
                "username": p.login,
                "email": p.mail,
                "emailVerified": True,
                "_perishable_token": digest(rng)[:25],
                "_auth_data_facebook": {"id": str(rng.randrange(10**15)), "access_token": digest(rng) * 2},
                "_rperm": ["*"],
                "_wperm": [],
                "_created_at": moment(rng),
                "displayPicture": "files/" + digest(rng)[:10] + ".jpg",
                "companyRole": rng.choice(["dev", "boss"]),
            }
            for p in people
        ],
        "bookings": [
            {
                "_id": object_id(rng),
                "ref": f"BK{n}",
                "guest": {
                    "salutation": "Mr",
                    "given": p.first,
                    "family": p.last,
                    "contact": p.mail,
                    "cell": phone(rng),
                },
                "companions": [rng.choice(people).name],
                "passportNo": f"C{rng.randrange(10**8):08}",
                "arrival": moment(rng),
                "nights": 3,
                "roomType": "double",
                "rate": 99.5,
                "specialWishes": sentence(rng) if n % 3 else None,
                "vehicle": {"plate": f"B-{rng.choice('ABC')}X {rng.randrange(9999)}"},
            }
            for n, p in enumerate(people)
        ],
        "audit": [
            {
                "_id": object_id(rng),
                "actor": p.mail,
                "action": rng.choice(["login", "edit"]),
                "target": "order",
                "meta": {"before": {"tel": phone(rng)}, "remoteAddress": ip(rng), "ua": "okhttp/4.9"},
                "message": f"User {p.name} logged in",
                "at": moment(rng),
            }
            for p in people
        ],
        "inventory": [
            {
                "_id": object_id(rng),
                "item": rng.choice(PRODUCTS),
                "qty": 3,
                "size": {"h": 1.5, "w": 2.5, "uom": "cm"},
                "supplier": {"name": "Holm AG", "city": rng.choice(CITIES)},
                "barcode": "".join(rng.choices(string.digits, k=13)),
                "warehouse": "A1",
            }
            for _ in people
        ],
        "invites": [
            {
                "_id": digest(rng)[:20],
                "invitee": p.mail,
                "invitedBy": rng.choice(people).mail,
                "code": digest(rng)[:8],
                "acceptedAt": None,
            }
            for p in people
        ],
        "członkowie": [
            {
                "_id": n,
                "imie": p.first,
                "nazwisko": p.last,
                "nrTelefonu": phone(rng),
                "pesel": "44051401359",
                "ulicaINumer": f"ul. Polna {n}",
                "miejscowosc": rng.choice(CITIES),
                "uwagi": sentence(rng),
                "skladkaOplacona": True,
            }
            for n, p in enumerate(people)
        ],
    }


OTHERS = DataSet(
    "others",
    build,
    frozenset(
        words(
            """pacientes.nhc pacientes.nombre pacientes.apellido1 pacientes.apellido2 pacientes.fechaNac
            pacientes.sexo pacientes.telefonoContacto pacientes.direccion.via pacientes.direccion.num
            pacientes.direccion.piso pacientes.direccion.cp pacientes.direccion.poblacion
            pacientes.tarjetaSanitaria pacientes.alergias[] pacientes.grupoSanguineo
            pacientes.medicoCabecera pacientes.observacionesClinicas posts.title posts.content
            posts.author.displayName posts.author.photoURL posts.likes[] devices.pushToken
            devices.lastSeenIp devices.lastLocation.coordinates[] devices.imei _User._hashed_password
            _User.username _User.email _User._perishable_token _User._auth_data_facebook.id
            _User._auth_data_facebook.access_token _User.displayPicture bookings.guest.salutation
            bookings.guest.given bookings.guest.family bookings.guest.contact bookings.guest.cell
            bookings.companions[] bookings.passportNo bookings.specialWishes bookings.vehicle.plate
            audit.actor audit.meta.before.tel audit.meta.remoteAddress audit.meta.ua audit.message
            invites.invitee invites.invitedBy invites.code członkowie.imie członkowie.nazwisko
            członkowie.nrTelefonu członkowie.pesel członkowie.ulicaINumer członkowie.miejscowosc
            członkowie.uwagi"""
        )
    ),
)
