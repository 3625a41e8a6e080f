"""Databases of invented people, in the shapes of published ones, and which of their fields are personal.

Ids that only link documents do not count as personal, and neither do countries: a copy needs them. What
people write does, and so does what tells them apart together with other fields: gender, age, place.
"""

from __future__ import annotations

from tests.support.people.atlas import ATLAS
from tests.support.people.chat import CHAT
from tests.support.people.dataset import DataSet
from tests.support.people.shop import SHOP

DATA_SETS = (ATLAS, CHAT, SHOP)

__all__ = ["DATA_SETS", "DataSet"]
