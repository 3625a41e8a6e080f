"""Objects in a bucket of S3, or of any server that speaks like it."""

from __future__ import annotations

from monarch.stores.s3.store import S3Store

__all__ = ["S3Store"]
