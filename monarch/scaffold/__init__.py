"""The files that ``init`` and ``generate`` write."""
