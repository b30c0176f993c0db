"""What the tests of whole runs borrow from those of the client: servers that misbehave, and TLS."""

from tests.delivery.test_client import certificates, serve, tls
from tests.whole_model import loads_all, project

__all__ = ["certificates", "loads_all", "project", "serve", "tls"]
