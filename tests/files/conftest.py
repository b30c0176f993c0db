"""Fixtures of tests of files."""

from tests.buckets import bucket, bucket_server, gcs_bucket

__all__ = ["bucket", "bucket_server", "gcs_bucket"]
