"""The library of masks that ``migrations/privacy.py`` chooses from.

Each is deterministic: what it makes of a value depends on the value, the mask as it is written and the key,
and on nothing else. The tests hold known masks under a fixed key: another version makes the same.
"""
