"""Where does a request go, and how does it say who it is?"""

from collections.abc import Iterable, Mapping
from importlib import metadata
from typing import Final

import msgspec

from target_mixpanel.model import Credentials, ProjectToken, ServiceAccount

IMPORT_PATH: Final = "/import"


class Endpoint(msgspec.Struct, frozen=True):
    """One of Mixpanel's ingestion endpoints, ready to be sent to."""

    url: str
    auth: tuple[str, str]
    """Username and password of Basic authentication; never in the URL."""
    headers: Mapping[str, str]
    secrets: tuple[str, ...] = ()
    """What nobody may see, wherever a reply repeats it; *auth* is understood."""


def import_endpoint(
    base_url: str,
    credentials: Credentials,
    secrets: Iterable[str] = (),
) -> Endpoint:
    """
    Return /import, strict, for gzipped NDJSON.

    A project token is the username with an empty password; a service account needs the project's
    id in the query. https://developer.mixpanel.com/reference/import-events
    """
    match credentials:
        case ProjectToken(token=token):
            query, auth = "strict=1", (token, "")
        case ServiceAccount(username=username, secret=secret, project_id=project_id):
            query, auth = f"strict=1&project_id={project_id}", (username, secret)
    return Endpoint(
        url=f"{base_url}{IMPORT_PATH}?{query}",
        auth=auth,
        secrets=tuple(secrets),
        headers={
            "Accept": "application/json",
            "Content-Encoding": "gzip",
            "Content-Type": "application/x-ndjson",
            "User-Agent": f"target-mixpanel/{metadata.version('target-mixpanel')}",
        },
    )
