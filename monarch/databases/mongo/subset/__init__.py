"""Resolve a selection to the documents that it selects."""
