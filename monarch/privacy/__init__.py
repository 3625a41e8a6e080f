"""Masks: what becomes of personal data in a copy that leaves its environment.

``migrations/privacy.py`` imports from here.
"""

from monarch.privacy.masks import Masks
from monarch.privacy.rules import keep, null, public, remove
from monarch.privacy.values.addresses import email, ip, mac, phone, url
from monarch.privacy.values.codes import card, iban, identifier, national_id
from monarch.privacy.values.dates import shift_date
from monarch.privacy.values.numbers import number
from monarch.privacy.values.people import company, first_name, full_name, last_name, username
from monarch.privacy.values.places import city, location, postcode, street
from monarch.privacy.values.texts import blank, choice, constant, hashed, text

__all__ = [
    "Masks",
    "blank",
    "card",
    "choice",
    "city",
    "company",
    "constant",
    "email",
    "first_name",
    "full_name",
    "hashed",
    "iban",
    "identifier",
    "ip",
    "keep",
    "last_name",
    "location",
    "mac",
    "national_id",
    "null",
    "number",
    "phone",
    "postcode",
    "public",
    "remove",
    "shift_date",
    "street",
    "text",
    "url",
    "username",
]
