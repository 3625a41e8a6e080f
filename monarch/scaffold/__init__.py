"""The files that ``init``, ``generate`` and ``generate_query_set`` write into a project."""
