"""What the tests of whole runs borrow from those of the client: servers that misbehave, and TLS."""

from tests.delivery.test_client import certificates, serve, tls

__all__ = ["certificates", "serve", "tls"]
