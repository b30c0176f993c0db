"""May this request do that?"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING

from target_mixpanel.sandbox.answers import RequestRefusedError

if TYPE_CHECKING:
    from target_mixpanel.sandbox.answers import Incoming
    from target_mixpanel.sandbox.settings import SandboxSettings


def require_importer(request: Incoming, settings: SandboxSettings) -> None:
    """
    Accept the service account if a project is named, else the project token.

    Raises:
        RequestRefusedError: 401, neither fits.
    """
    if "project_id" in request.query:
        require_service_account(request, settings)
    elif not _same(_basic(request), (settings.token, "")):
        raise RequestRefusedError(401, "Invalid credentials")


def require_service_account(request: Incoming, settings: SandboxSettings) -> None:
    """
    Accept the service account, for its own project.

    Raises:
        RequestRefusedError: 401, another user, secret or project.
    """
    knows_secret = _same(_basic(request), (settings.service_account, settings.secret))
    if not knows_secret or request.query.get("project_id") != settings.project_id:
        raise RequestRefusedError(401, "Invalid credentials")


def _basic(request: Incoming) -> tuple[str, str]:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    # A colon is no base64: Mixpanel documents credentials in plain text, too.
    if ":" not in credentials:
        try:
            credentials = base64.b64decode(credentials, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
    user, _, secret = credentials.partition(":")
    return user, secret


def _same(given: tuple[str, str], wanted: tuple[str, str]) -> bool:
    pairs = zip(given, wanted, strict=True)
    return all(hmac.compare_digest(one.encode(), other.encode()) for one, other in pairs)
