"""Who are we to Mixpanel, and in which spellings could that show?"""

import base64
import json
from collections.abc import Iterable
from typing import TypeAlias
from urllib.parse import quote

import msgspec


class ProjectToken(msgspec.Struct, frozen=True):
    """The credential that names a project; it is all that /import needs."""

    token: str


class ServiceAccount(msgspec.Struct, frozen=True):
    """The credential of an Owner or Admin; it needs the project's id beside it."""

    username: str
    secret: str
    project_id: str


Credentials: TypeAlias = ProjectToken | ServiceAccount


def forms_of(secrets: Iterable[str], credentials: Credentials) -> Iterable[str]:
    """Yield each secret as it is, quoted, in a URL, and as Basic authentication has it."""
    for secret in secrets:
        yield secret
        yield repr(secret)[1:-1]
        yield json.dumps(secret)[1:-1]
        yield quote(secret, safe="")
        yield _basic(f"{secret}:")
    if isinstance(credentials, ServiceAccount):
        yield _basic(f"{credentials.username}:{credentials.secret}")


def _basic(pair: str) -> str:
    return base64.b64encode(pair.encode("latin-1", "replace")).decode()
