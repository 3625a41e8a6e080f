"""Detection of personal data in a sample, by the names of fields and by their values.

Nothing here knows a database: it gets documents as plain Python, and returns a `Suggestion` for each field.
"""

from monarch.privacy.detection.suggestion import CollectionSuggestions, Suggestion

__all__ = ["CollectionSuggestions", "Suggestion"]
