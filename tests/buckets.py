"""Buckets of a test's own: on moto's server, and on one that speaks as Google's does."""

import json
import os
import urllib.request
from collections.abc import Iterator

import obstore
import pytest
from moto.server import ThreadedMotoServer
from obstore.store import S3Store

from tests.gcs_server import GcsServer

REGION = "us-east-1"


class Bucket:
    """A bucket, and the environment in which it is found."""

    def __init__(self, port: int, name: str) -> None:
        self.name = name
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": REGION,
            "AWS_ALLOW_HTTP": "true",
        }
        self.store = S3Store(
            name,
            endpoint=self.environment["AWS_ENDPOINT_URL"],
            access_key_id="testing",
            secret_access_key="testing",
            region=REGION,
            client_options={"allow_http": True},
        )

    @property
    def url(self) -> str:
        return f"s3://{self.name}/"

    def put(self, key: str, content: bytes) -> str:
        """Store *content*; return its URL."""
        obstore.put(self.store, key, content)
        return f"{self.url}{key}"


@pytest.fixture(scope="session")
def bucket_server() -> Iterator[int]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        os.environ.setdefault(name, "testing")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    yield port
    server.stop()


@pytest.fixture
def bucket(bucket_server: int, tmp_path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket that this process, and those that it starts, find."""
    made = Bucket(bucket_server, f"b-{abs(hash(str(tmp_path)))}")
    request = urllib.request.Request(f"http://127.0.0.1:{bucket_server}/{made.name}", method="PUT")
    urllib.request.urlopen(request).close()  # noqa: S310
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made


class GcsBucket:
    """A bucket of Google's kind, and the environment in which it is found."""

    def __init__(self, server: GcsServer, name: str) -> None:
        self.server = server
        self.name = name
        key = {
            "gcs_base_url": server.url,
            "disable_oauth": True,
            "client_email": "",
            "private_key": "",
            "private_key_id": "",
        }
        self.environment = {
            "GOOGLE_BASE_URL": server.url,
            "GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps(key),
        }

    @property
    def url(self) -> str:
        return f"gs://{self.name}/"

    def put(self, key: str, content: bytes) -> str:
        """Store *content*; return its URL."""
        self.server.store(self.name, key, content)
        return f"{self.url}{key}"

    def contents(self) -> dict[str, bytes]:
        """Return all that is stored, by name."""
        objects = sorted(self.server.objects.items())
        return {name: each.content for (of, name), each in objects if of == self.name}


@pytest.fixture
def gcs_bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[GcsBucket]:
    """A bucket that this process, and those that it starts, find."""
    with GcsServer() as server:
        made = GcsBucket(server, "shop-1")
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made
