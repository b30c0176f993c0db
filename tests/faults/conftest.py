"""What the tests of whole runs borrow: servers that misbehave, TLS, a command of all types."""

from tests.buckets import bucket, bucket_server
from tests.servers import certificates, serve, tls
from tests.whole_model import loads_all, project

__all__ = ["bucket", "bucket_server", "certificates", "loads_all", "project", "serve", "tls"]
