"""The library of masks that ``migrations/privacy.py`` chooses from.

Each is deterministic: what it makes of a value depends on the value, the mask as it is written and the key,
and on nothing else. The tests hold known masks under a fixed key: another version makes the same.
"""

from monarch.privacy.values.addresses import email, ip, mac, phone, url
from monarch.privacy.values.codes import card, iban, identifier, national_id
from monarch.privacy.values.dates import shift_date
from monarch.privacy.values.numbers import number
from monarch.privacy.values.people import company, first_name, full_name, last_name, username
from monarch.privacy.values.places import city, location, postcode, street
from monarch.privacy.values.texts import blank, choice, constant, hashed, text

__all__ = [
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
    "last_name",
    "location",
    "mac",
    "national_id",
    "number",
    "phone",
    "postcode",
    "shift_date",
    "street",
    "text",
    "url",
    "username",
]
