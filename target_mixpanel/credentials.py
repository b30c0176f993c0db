"""Who are we to Mixpanel, and in which spellings could that show?"""

import base64
import json
from collections.abc import Iterable, Iterator
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


def spellings(secrets: Iterable[str], credentials: Credentials) -> Iterator[str]:
    """
    Yield each form in which a log line or a server's reply could show one of *secrets*.

    As it is, as Python and JSON quote it, as a URL spells it, and as Basic authentication has it:
    alone, as a project's token is sent, and in the pair of *credentials*.
    """
    for secret in secrets:
        yield secret
        yield repr(secret)[1:-1]
        yield json.dumps(secret)[1:-1]
        yield quote(secret)
        yield quote(secret, safe="")
        yield _basic(f"{secret}:")
    if isinstance(credentials, ServiceAccount):
        yield _basic(f"{credentials.username}:{credentials.secret}")


def _basic(pair: str) -> str:
    return base64.b64encode(pair.encode("latin-1", "replace")).decode()
