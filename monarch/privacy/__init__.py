"""Masks: what becomes of personal data in a copy that leaves its environment.

``migrations/privacy.py`` imports from here.
"""

from monarch.privacy.masks import Masks
from monarch.privacy.rules import keep, null, public, remove

__all__ = ["Masks", "keep", "null", "public", "remove"]
