"""Backups in a bucket of S3, or of a server that is compatible with it. boto3 is imported when it is used."""
