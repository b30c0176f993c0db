"""A sandbox on a real socket, and the shortest ways to send something to it."""

import contextlib
import itertools
import json
import time

import pytest
import requests

from target_mixpanel.sandbox import Sandbox, SandboxSettings

TOKEN = ("sandbox-token", "")
SERVICE_ACCOUNT = ("sandbox.mp-service-account", "sandbox-secret")


@pytest.fixture
def start():
    """Start a sandbox with some settings; it stops with the test."""
    with contextlib.ExitStack() as running:

        def start(**settings):
            return running.enter_context(Sandbox(settings=SandboxSettings(**settings)))

        yield start


@pytest.fixture
def sandbox(start):
    return start()


@pytest.fixture
def http():
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture
def event():
    """Make a valid event; None leaves a property out."""
    numbers = itertools.count()

    def event(name="Order Placed", /, **properties):
        valid = {
            "time": int(time.time()) - 60,
            "distinct_id": "u1",
            "$insert_id": f"id-{next(numbers)}",
        }
        merged = {**valid, **properties}
        return {
            "event": name,
            "properties": {key: value for key, value in merged.items() if value is not None},
        }

    return event


@pytest.fixture
def ndjson():
    def ndjson(rows):
        return b"".join(json.dumps(row).encode() + b"\n" for row in rows)

    return ndjson


@pytest.fixture
def import_(http, ndjson):
    """POST rows, or raw bytes, to /import as newline-delimited JSON."""

    def import_(sandbox, rows, *, headers=None, auth=TOKEN, **query):
        body = rows if isinstance(rows, bytes) else ndjson(rows)
        return http.post(
            f"{sandbox.url}/import",
            data=body,
            params={"strict": "1", **query},
            headers={"Content-Type": "application/x-ndjson", **(headers or {})},
            auth=auth,
            timeout=60,
        )

    return import_


@pytest.fixture
def refusal(import_, event):
    """Import one event and return the field and message it is refused with."""

    def refusal(sandbox, row):
        reply = import_(sandbox, [row])
        assert reply.status_code == 400, reply.text
        [failed] = reply.json()["failed_records"]
        return failed["field"], failed["message"]

    return refusal


@pytest.fixture
def update(http):
    """POST profile updates to /engage or /groups; the token is added, and that nobody was seen."""

    def update(sandbox, updates, *, path="/engage", **query):
        rows = [{"$token": "sandbox-token", "$ignore_time": True, **row} for row in updates]
        return http.post(f"{sandbox.url}{path}", json=rows, params=query, timeout=60)

    return update


@pytest.fixture
def put_table(http):
    """PUT a CSV in place of a lookup table."""

    def put_table(sandbox, csv, *, table=None, auth=SERVICE_ACCOUNT, project="1", headers=None):
        table = table or next(iter(sandbox.settings.lookup_tables))
        return http.put(
            f"{sandbox.url}/lookup-tables/{table}",
            params={"project_id": project},
            data=csv if isinstance(csv, bytes) else csv.encode(),
            headers={"Content-Type": "text/csv", **(headers or {})},
            auth=auth,
            timeout=60,
        )

    return put_table


@pytest.fixture
def service_account():
    return SERVICE_ACCOUNT
