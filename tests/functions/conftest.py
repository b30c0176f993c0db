"""Fixtures of tests of cloud functions."""

import pytest

from tests.buckets import bucket, bucket_server, gcs_bucket
from tests.functions.hosts import LambdaHost, environment_of

__all__ = ["bucket", "bucket_server", "gcs_bucket"]


@pytest.fixture
def host(sandbox, bucket):
    """Lambda's runtime with the function in it, which loads `orders/*` of the bucket."""
    with LambdaHost(environment_of(sandbox, bucket.url) | bucket.environment) as running:
        yield running
