"""Where does a request go, and how does it say who it is?"""

from collections.abc import Iterable, Mapping
from importlib import metadata
from typing import Final, Literal
from urllib.parse import quote

import msgspec

from target_mixpanel.model import Credentials, ProjectToken, ServiceAccount

IMPORT_PATH: Final = "/import"
USERS_PATH: Final = "/engage"
GROUPS_PATH: Final = "/groups"
TABLES_PATH: Final = "/lookup-tables"


class Endpoint(msgspec.Struct, frozen=True):
    """One of Mixpanel's ingestion endpoints, ready to be sent to."""

    url: str
    auth: tuple[str, str] | None
    """Username and password of Basic authentication, never in the URL; None: the body says who."""
    headers: Mapping[str, str]
    secrets: tuple[str, ...] = ()
    """What nobody may see, wherever a reply repeats it; *auth* is understood."""
    method: Literal["GET", "POST", "PUT"] = "POST"


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
        headers=_headers("application/x-ndjson", is_gzip=True),
    )


def profiles_endpoint(base_url: str, path: str, secrets: Iterable[str]) -> Endpoint:
    """
    Return /engage or /groups, strict and verbose, for a JSON array that holds the token.

    It takes no gzip, no header says who sends, and without ip=0 the loader's own address would
    become the profiles' city. https://developer.mixpanel.com/reference/profile-set
    """
    return Endpoint(
        url=f"{base_url}{path}?ip=0&verbose=1&strict=1",
        auth=None,
        secrets=tuple(secrets),
        headers=_headers("application/json"),
    )


def table_endpoint(
    base_url: str,
    account: ServiceAccount,
    table_id: str,
    secrets: Iterable[str] = (),
) -> Endpoint:
    """
    Return where a gzipped CSV replaces a lookup table.

    https://developer.mixpanel.com/reference/replace-lookup-table
    """
    path = f"{TABLES_PATH}/{quote(table_id, safe='')}"
    return Endpoint(
        url=f"{base_url}{path}?project_id={account.project_id}",
        auth=(account.username, account.secret),
        secrets=tuple(secrets),
        headers=_headers("text/csv", is_gzip=True),
        method="PUT",
    )


def tables_endpoint(
    base_url: str,
    account: ServiceAccount,
    secrets: Iterable[str] = (),
) -> Endpoint:
    """
    Return where the lookup tables are listed.

    https://developer.mixpanel.com/reference/list-lookup-tables
    """
    return Endpoint(
        url=f"{base_url}{TABLES_PATH}?project_id={account.project_id}",
        auth=(account.username, account.secret),
        secrets=tuple(secrets),
        headers=_headers(None),
        method="GET",
    )


def _headers(content_type: str | None, *, is_gzip: bool = False) -> dict[str, str]:
    headers = {
        "Accept": "application/json",
        "User-Agent": f"target-mixpanel/{metadata.version('target-mixpanel')}",
    }
    if content_type is not None:
        headers["Content-Type"] = content_type
    if is_gzip:
        headers["Content-Encoding"] = "gzip"
    return headers
