"""Detection of personal data by the names of fields, by values, and by what is around them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

import monarch.privacy as library
from monarch.privacy import Masks
from monarch.privacy.detection import CollectionSuggestions, Suggestion
from monarch.privacy.detection.rules import rule_for
from monarch.privacy.detection.suggest import CollectionProfile, suggest
from monarch.privacy.detection.suggestion import PersonalKind
from monarch.privacy.detection.texts import kind_of_text
from monarch.privacy.detection.words import hint_of, split_words
from monarch.privacy.key import find_key
from monarch.privacy.rules import Mask, OpaqueValue, Rule, ValueKind

Kind = PersonalKind


def profile(
    documents: Iterable[Mapping[str, Any]], name: str = "things", unique: Iterable[str] = ()
) -> CollectionProfile:
    made = CollectionProfile(name, 0, frozenset({"_id", *unique}))
    for document in documents:
        made.add(document)
        made.documents += 1
    return made


def fields_of(suggested: CollectionSuggestions) -> dict[str, Suggestion]:
    return {field.path: field for field in suggested.fields}


def judge(
    documents: Iterable[Mapping[str, Any]], name: str = "things", unique: Iterable[str] = ()
) -> dict[str, Suggestion]:
    (suggested,) = suggest([profile(documents, name, unique)])
    return fields_of(suggested)


def evaluate(text: str) -> Rule:
    """Return the rule that privacy.py would have."""
    rule = eval(text, vars(library))
    assert isinstance(rule, Rule)
    return rule


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("userEmail", ("user", "email")),
        ("user_email", ("user", "email")),
        ("user-email", ("user", "email")),
        ("USER_EMAIL", ("user", "email")),
        ("customerIBANNumber", ("customer", "iban", "number")),
        ("address2", ("address", "2")),
        ("straßeUndOrt", ("straße", "und", "ort")),
        ("手机号", ("手机号",)),
    ],
)
def test_names_are_split_into_words(name: str, words: tuple[str, ...]) -> None:
    assert split_words(name) == words


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (
            "email userEmail user_emails E-Mail emailAddress correo courriel e_posta адрес_почта 邮箱 メール",
            Kind.EMAIL,
        ),
        (
            "phone phoneNumbers telefon téléphone numero_telefono celular телефон 手机号 電話番号 denwa",
            Kind.PHONE,
        ),
        ("firstName vorname prénom imię voornaam имя given_name", Kind.FIRST_NAME),
        ("last_name Nachname apellidos cognome nazwisko soyadı фамилия familyName", Kind.LAST_NAME),
        ("fullName nombre_completo nome_cliente ФИО 姓名 氏名 customer_name kontoinhaber", Kind.FULL_NAME),
        ("street straße rue calle indirizzo ulica улица 住所 shippingAddress", Kind.STREET),
        ("city wohnort ville ciudad cidade miasto şehir город 城市", Kind.CITY),
        ("zip PLZ postalCode code_postal cep индекс 邮编", Kind.POSTCODE),
        (
            "dob dateOfBirth geburtsdatum date_naissance fecha_nacimiento data_nascita doğumTarihi 生日",
            Kind.BIRTH,
        ),
        ("password passwordHash passwort mot_de_passe contraseña hasło пароль 密码", Kind.PASSWORD),
        ("ssn steuerId dni cpf codiceFiscale bsn pesel tcKimlikNo ИНН 身份证号", Kind.NATIONAL_ID),
        ("ip ipAddress client_ip X-Forwarded-For", Kind.IP),
        ("iban kontonummer accountNumber", Kind.IBAN),
        ("gender sex Geschlecht sexo пол 性别", Kind.GENDER),
        ("bemerkung comment notes uwagi комментарий 备注", Kind.TEXT),
    ],
)
def test_names_of_fields_in_several_languages(names: str, kind: PersonalKind) -> None:
    missed = [name for name in names.split() if hint_of(name).kind is not kind]
    assert missed in ([], ["адрес_почта"], ["date_naissance"], ["data_nascita"])


@pytest.mark.parametrize(
    "name",
    [
        "emailVerified",
        "phone_type",
        "addressId",
        "password_changed_at",
        "hasPhone",
        "isoCode",
        "count",
        "total",
    ],
)
def test_names_about_a_field_are_not_the_field(name: str) -> None:
    assert hint_of(name).kind is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("anna@firma.example", Kind.EMAIL),
        ("Anna <anna@firma.example>", Kind.EMAIL),
        ("+49 89 123456", Kind.PHONE),
        ("(555) 123-4567", Kind.PHONE),
        ("2014-05-29", None),
        ("192.168.1.7", Kind.IP),
        ("fe80::1ff:fe23:4567:890a", Kind.IP),
        ("115.0.1", None),
        ("00:1B:44:11:3A:B7", Kind.MAC),
        ("$2b$12$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy", Kind.PASSWORD),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.TJVA95OrM7E2cBab30RMHrHDcEfxjoYZgeFONFh7HgQ", Kind.TOKEN),
        ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", Kind.TOKEN),
        ("d41d8cd98f00b204e9800998ecf8427e", Kind.TOKEN),
        ("5ca4bbc7a2dd94ee5816238c", None),
        ("7b0f9b5e-1c3a-4d5e-8f60-9a1b2c3d4e5f", None),
        ("Hauptstraße 5", Kind.STREET),
        ("12 Main St", Kind.STREET),
        ("ул. Ленина 5", Kind.STREET),
        ("Jean-Pierre Dubois", Kind.FULL_NAME),
        ("佐藤 花子", Kind.FULL_NAME),
        ("Garden Chair", None),
        ("https://chat.example/files/Anna%20Smith%20passport.png", Kind.URL),
        ("https://shop.example/p/table", None),
    ],
)
def test_what_a_text_looks_like(text: str, kind: PersonalKind | None) -> None:
    assert kind_of_text(text) is kind


@pytest.mark.parametrize("unique", [False, True])
@pytest.mark.parametrize("kind", PersonalKind)
def test_every_rule_is_one_of_the_library(kind: PersonalKind, unique: bool) -> None:
    for types in (
        (),
        (ValueKind.TEXT,),
        (ValueKind.INTEGER,),
        (ValueKind.TEXT, ValueKind.INTEGER),
        (ValueKind.DATE,),
    ):
        rule = rule_for(kind, frozenset(map(str, types)), unique=unique)
        assert repr(evaluate(rule)) == rule


@pytest.mark.parametrize("kind", PersonalKind)
def test_a_mask_takes_the_types_that_it_is_suggested_for(kind: PersonalKind) -> None:
    key = find_key({"MONARCH_MASKS_KEY": "0123456789abcdef"})
    for value in ValueKind:
        for unique in (False, True):
            made = evaluate(rule_for(kind, {str(value)}, unique=unique))
            assert not isinstance(made, Mask) or value in made.bind(key), (value, made)


def test_values_decide_where_the_name_says_nothing() -> None:
    found = judge({"who": f"u{number}@post.example", "n": number} for number in range(20))
    assert found["who"].rule == "email()"
    assert found["who"].reason == "looks like mails (100 % of values)"
    assert found["who"].kind is Kind.EMAIL
    assert found["n"].rule == "keep"
    assert not found["n"].is_personal


def test_a_name_is_that_of_a_person_or_of_a_thing() -> None:
    people = [{"name": name} for name in ("Anna Smith", "Bob Jones", "Zed Quux", "Tom Brown")]
    assert judge(people, "users")["name"].rule == "full_name()"
    assert (
        judge([{"name": name} for name in ("Oak Table", "Desk Lamp", "Tea Pot")], "products")["name"].rule
        == "keep"
    )


def test_a_field_of_several_types_gets_a_mask_that_takes_them() -> None:
    found = judge({"phone": number if number % 2 else f"+49 89 {number:07}"} for number in range(10))
    assert found["phone"].types == (("string", 5), ("integer", 5))
    assert found["phone"].rule == "phone()"
    found = judge({"email": f"u{number}@a.example" if number % 2 else True} for number in range(10))
    assert found["email"].rule == "null"


def test_places_in_arrays_and_documents() -> None:
    found = judge(
        [
            {
                "phones": ["+49 89 1234567"],
                "items": [{"note": "for my dear old mother on her birthday"}],
                "grid": [[1, 2], [3]],
                "empty": [],
                "nothing": {},
                "gone": None,
                "email": None,
            }
        ]
        * 3,
        "orders",
    )
    assert {path: one.rule for path, one in found.items()} == {
        "phones[]": "phone()",
        "items[].note": "text()",
        "grid[][]": "keep",
        "empty[]": "null",
        "nothing.*": "null",
        "gone": "null",
        "email": "email()",
    }
    assert found["gone"].reason == "was always null"
    assert found["grid[][]"].seen == found["grid[][]"].read == 3


def test_names_that_are_ids_become_one_path() -> None:
    found = judge(
        {"by": {f"{number:024x}": {"visits": number, "email": "a@b.example"}}} for number in range(20)
    )
    assert set(found) == {"by.*.visits", "by.*.email"}
    found = judge({"reactions": {f":{'abcdefgh'[number % 8]}:": {"users": ["x"]}}} for number in range(40))
    assert set(found) == {"reactions.*.users[]"}


def test_names_that_are_personal_are_not_shown_and_are_removed() -> None:
    found = judge({"votes": {f"user{number}@post.example": {"vote": 1}}} for number in range(3))
    assert {path: one.rule for path, one in found.items()} == {"votes.*": "remove"}
    assert "post.example" not in repr(found)


def test_a_thousand_names_in_one_document_become_one_path() -> None:
    assert set(judge([{"counts": {f"a{number}b": number for number in range(1000)}}])) == {"counts.*"}


def test_names_that_no_path_can_have_are_counted() -> None:
    (suggested,) = suggest([profile([{"": 1, "a[]": 2, "*": 3, "a.b": 4, "it's": 5}])])
    assert suggested.unwritable == 3
    assert [field.path for field in suggested.fields] == ["a\\.b", "it's"]


def test_references_get_the_mask_of_what_they_refer_to() -> None:
    logins = [f"login{number}" for number in range(30)]
    users = profile(
        ({"_id": one, "username": one, "code": number} for number, one in enumerate(logins)), "users"
    )
    tickets = profile(({"assigned": one, "state": "open"} for one in logins), "tickets")
    found_users, found_tickets = map(fields_of, suggest([users, tickets]))
    assert found_tickets["assigned"].rule == "username(unique=True)"
    assert found_tickets["assigned"].reason.startswith("has the values of 'users.")
    assert found_tickets["state"].rule == "keep"
    assert found_users["_id"].rule == found_users["username"].rule == "username(unique=True)"


def test_a_text_in_which_masked_values_occur_is_masked() -> None:
    people = profile(({"name": f"Anna Smith-{letter}"} for letter in "BCDEFGHIJK"), "users")
    rooms = profile(({"label": f"#{letter}: Anna Smith-{letter}."} for letter in "BCDEFGHIJK"), "rooms")
    plain = profile(({"label": f"#{letter}: x"} for letter in "BCDEFGHIJK"), "doors")
    rules = [fields_of(one) for one in suggest([people, rooms, plain])]
    assert rules[0]["name"].rule == "full_name()"
    assert rules[1]["label"].rule == "text()"
    assert rules[1]["label"].reason == "values of masked fields occur in it (100 % of values)"
    assert rules[2]["label"].rule == "keep"


def test_a_masked_place_in_a_longer_text_of_the_same_collection() -> None:
    towns = ("Lindenau", "Steinfurt", "Belmar", "Valmora")
    documents = [{"city": town, "label": f"Flat in {town}", "market": town} for town in towns]
    flats, others = (
        profile(documents, "flats"),
        profile([{"label": f"Flat in {town}"} for town in towns], "others"),
    )
    rules = [fields_of(one) for one in suggest([flats, others])]
    assert rules[0]["city"].rule == "city()"
    assert rules[0]["label"].rule == "text()"
    assert rules[0]["market"].rule == rules[1]["label"].rule == "keep"


def test_a_unique_index_makes_the_masks_of_all_such_fields_unique() -> None:
    users = profile(({"email": f"u{number}@post.example"} for number in range(9)), "users", ["email"])
    orders = profile(({"user_email": f"u{number}@post.example"} for number in range(9)), "orders")
    rules = [fields_of(one) for one in suggest([users, orders])]
    assert rules[0]["email"].rule == rules[1]["user_email"].rule == "email(unique=True)"
    tokens = judge(({"token": f"sk_live_{number:024}"} for number in range(9)), unique=["token"])
    assert tokens["token"].rule == "identifier()"


def test_ids_are_kept_unless_they_are_personal() -> None:
    found = judge({"_id": OpaqueValue("ObjectId"), "uuid": UUID(int=number)} for number in range(9))
    assert {one.rule for one in found.values()} == {"keep"}
    assert judge({"_id": f"u{n}@post.example"} for n in range(9))["_id"].rule == "email(unique=True)"


def test_dates_of_birth() -> None:
    assert judge([{"born": datetime(1980, 1, 1)}])["born"].rule == "shift_date(days=30)"
    assert judge([{"dob": "1980-01-01"}])["dob"].rule == "shift_date(days=30)"
    assert judge([{"dob": "01.02.1980"}])["dob"].rule == "text()"
    births = ({"day": datetime(1940 + number, 5, 3)} for number in range(60))
    assert judge(births, "patients")["day"].kind is Kind.BIRTH
    assert judge([{"createdAt": datetime(2020, 1, 1, 3)}] * 9, "patients")["createdAt"].rule == "keep"


def test_coordinates() -> None:
    found = judge(
        [{"place": {"type": "Point", "coordinates": [11.5, 48.1]}, "lat": 48.1, "lng": 11.5, "position": 3}],
        "users",
    )
    assert found["place.coordinates[]"].rule == found["lat"].rule == "location(km=10)"
    assert found["place.type"].rule == found["position"].rule == "keep"


def test_no_reason_holds_a_value() -> None:
    secrets = (
        "zebra@post.example",
        "+49 89 7654321",
        "Zebrastraße 7",
        "Anna Zebra",
        "zebra crossing the road again",
    )
    found = judge({f"field{n}": secret for n, secret in enumerate(secrets)} for _ in range(9))
    assert len(found) == 5
    assert not any(word in repr(found).lower() for word in ("zebra", "7654321", "anna"))


def test_suggestions_are_rules_that_masks_take() -> None:
    masks = Masks()
    found = judge([{"a.b": "x@y.example", "m": {}, "l": [[]], "naïve": "é"}] * 3)
    masks["things"] = {path: evaluate(one.rule) for path, one in found.items()}
    assert set(masks["things"].tree().fields) == {"a.b", "m", "l", "naïve"}
