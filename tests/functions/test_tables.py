"""A lookup table, which is replaced as a whole, by one that surely is."""

import pytest

from target_mixpanel.sandbox import Sandbox
from tests.buckets import Bucket
from tests.functions import events
from tests.functions.hosts import LambdaHost, environment_of
from tests.load.loads import json_lines
from tests.waiting import wait_until
from tests.whole_model import (
    ACCOUNT,
    PRODUCTS_MAPPING,
    PRODUCTS_SCHEMA,
    TABLE_ID,
    products,
    project,
)

__all__ = ["project"]
KEY = "products/all.jsonl"


def table(count: int) -> bytes:
    return json_lines([message["record"] for message in products(count)])


def environment(project: Sandbox, bucket: Bucket, name: str) -> dict[str, str]:
    entry = {"stream": "products", "key": ["sku"], "schema": PRODUCTS_SCHEMA["schema"]}
    return bucket.environment | environment_of(
        project,
        bucket.url,
        streams={"products": PRODUCTS_MAPPING},
        files=[{"match": f"{bucket.url}products/{name}", **entry}],
        project_token=None,
        **ACCOUNT,
    )


def test_an_object_that_is_named_replaces_it(project: Sandbox, bucket: Bucket):
    """Each time: the last that is told of must be the one that stays."""
    with LambdaHost(environment(project, bucket, "all.jsonl")) as host:
        for count in (3, 2, 2):
            bucket.put(KEY, table(count))
            assert host.invoke(events.s3(bucket.name, KEY)).kind == "response", host.logged

            assert len(project.table_rows(TABLE_ID)) == count


@pytest.mark.parametrize("name", ["*.jsonl", "**", "al[kl].jsonl"])
def test_one_of_several_does_not(project: Sandbox, bucket: Bucket, name: str):
    """Each part would replace the whole table."""
    bucket.put(KEY, table(3))
    with LambdaHost(environment(project, bucket, name)) as host:
        error = host.invoke(events.s3(bucket.name, KEY)).error

    assert "stands for several objects, and each would replace the whole lookup table" in error
    assert not [each for each in project.requests if each.path.startswith("/lookup-tables/")]


def test_an_object_that_changed_meanwhile_is_loaded_anew(project: Sandbox, bucket: Bucket):
    """Its own event may have been served before: this call's old rows must not stay."""
    bucket.put(KEY, table(3))
    project.script({"path": "/lookup-tables", "delay_s": 1.0})
    with LambdaHost(environment(project, bucket, "all.jsonl")) as host:
        host.begin(events.s3(bucket.name, KEY))
        wait_until(lambda: project.project.requests.arrived)
        bucket.put(KEY, table(2))
        first = host.answer()
        second = host.invoke(events.s3(bucket.name, KEY))

    assert "changed while its lookup table was replaced" in first.error
    assert second.kind == "response"
    assert len(project.table_rows(TABLE_ID)) == 2


def test_time_is_up_within_it(project: Sandbox, bucket: Bucket):
    """Half a table replaces nothing."""
    bucket.put(KEY, table(3))
    with LambdaHost(environment(project, bucket, "all.jsonl")) as host:
        error = host.invoke(events.s3(bucket.name, KEY), seconds=0).error

    assert "time is up before it was begun" in error
    assert not project.table_rows(TABLE_ID)
