"""``migrations/settings.py`` as frozen dataclasses."""
