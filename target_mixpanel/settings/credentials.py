"""Do the credentials that were set fit together, and suffice?"""

import re
from typing import Final

from target_mixpanel.credentials import Credentials, ProjectToken, ServiceAccount
from target_mixpanel.errors import SettingsError
from target_mixpanel.settings.fields import FlatSettings

_CREDENTIALS: Final = (
    "project_token",
    "project_id",
    "service_account_username",
    "service_account_secret",
)


_NOT_IN_A_CREDENTIAL: Final = re.compile(r"[\s\x00-\x1f\x7f]|[^\x00-\xff]")


def _credentials(flat: FlatSettings) -> Credentials:
    for name in _CREDENTIALS:
        value = getattr(flat, name)
        if value is not None and _NOT_IN_A_CREDENTIAL.search(value):
            raise SettingsError(f"{name}: holds white space or a character no credential has")
    if flat.hash_key is not None and not _is_utf8(flat.hash_key):
        raise SettingsError("hash_key: is not UTF-8")
    account = (flat.service_account_username, flat.service_account_secret, flat.project_id)
    if flat.service_account_username is None and flat.service_account_secret is None:
        if flat.project_token is None:
            raise SettingsError(
                "project_token: is missing; set it, or service_account_username, "
                "service_account_secret and project_id",
            )
        return ProjectToken(flat.project_token)
    username, secret, project_id = account
    for name, value in zip(
        ("service_account_username", "service_account_secret", "project_id"),
        account,
        strict=True,
    ):
        if value is None:
            raise SettingsError(f"{name}: is missing; a service account needs all three")
    if username is None or secret is None or project_id is None or ":" in username:
        raise SettingsError("service_account_username: holds a colon")
    return ServiceAccount(username, secret, project_id)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
