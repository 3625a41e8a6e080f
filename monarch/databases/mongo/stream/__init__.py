"""Documents on their way from a source to a sink: batches of raw BSON, their counts, and what changes them.

In: batches from an engine or an archive. Out: the same batches. Documents are not decoded here.
"""
