"""Do the credentials that were set fit together, and suffice?"""

import re
from collections.abc import Iterable
from typing import Final

from target_mixpanel.credentials import Credentials, ProjectToken, ServiceAccount
from target_mixpanel.errors import SettingsError
from target_mixpanel.settings.fields import CREDENTIALS, FlatSettings
from target_mixpanel.specs.columns import has_hashed_values
from target_mixpanel.specs.spec import (
    EventSpec,
    GroupSpec,
    LookupTableSpec,
    StreamSpec,
    UserSpec,
)

_NOT_IN_A_CREDENTIAL: Final = re.compile(r"[\s\x00-\x1f\x7f]|[^\x00-\xff]")


def parse_credentials(flat: FlatSettings) -> Credentials:
    """
    Return what /import is told.

    Raises:
        SettingsError: There is none, only a part of one, or one with a character that none has.
    """
    for name in CREDENTIALS:
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


def check_credentials(
    flat: FlatSettings, credentials: Credentials, specs: Iterable[StreamSpec]
) -> None:
    """
    See that each mapping has the credential, or the key, that it needs.

    Raises:
        SettingsError: One has not.
    """
    for spec in specs:
        match spec:
            case EventSpec():
                pass  # either credential will do
            case UserSpec() | GroupSpec():
                profile_token(flat)
            case LookupTableSpec():
                table_account(credentials, spec.place)
        if flat.hash_key is None and has_hashed_values(spec):
            raise SettingsError(
                f"hash_key: is missing, and {spec.place} has hashed values; set it to a long "
                "random text, and keep it: another one makes other people of the same ids",
            )


def profile_token(flat: FlatSettings) -> str:
    """
    Return the token that updates of profiles carry.

    Raises:
        SettingsError: There is none; `check_credentials` has said so.
    """
    if flat.project_token is None:
        raise SettingsError(
            "project_token: is missing; set it: user and group profiles need it, even beside a "
            "service account",
        )
    return flat.project_token


def table_account(credentials: Credentials, place: str) -> ServiceAccount:
    """
    Return who may replace the lookup table of the mapping at *place*.

    Raises:
        SettingsError: There is nobody; `check_credentials` has said so.
    """
    if not isinstance(credentials, ServiceAccount):
        raise SettingsError(
            f"service_account_username: is missing, and {place} is a lookup table; set it, "
            "service_account_secret and project_id: a project_token cannot replace one",
        )
    return credentials


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
