"""Masking of documents: the rules of a project, applied to raw BSON.

Above `stream`, whose batches it changes, and `sources`, whose definitions it looks through. Documents are not
decoded: their elements are skipped by their sizes, and only those that a rule changes are replaced.
"""
