"""Whom does a mapping name: one distinct_id, or the ids of simplified identity merge?"""

from target_mixpanel.errors import SettingsError
from target_mixpanel.specs.sources import parse_needed
from target_mixpanel.specs.spec import DistinctId, Identity, SimplifiedId
from target_mixpanel.specs.written import Raw


def parse_identity(raw: Raw, place: str, *, or_else: str = "") -> Identity:
    """
    Return who is meant by a mapping's `distinct_id`, or by its `user_id` and `device_id`.

    Args:
        raw: The mapping.
        place: What messages call it.
        or_else: What may be written for nobody.

    Raises:
        SettingsError: They are missing, or not understood.
    """
    has_simplified = "user_id" in raw or "device_id" in raw
    if "distinct_id" in raw:
        if has_simplified:
            raise SettingsError(
                f"{place}: has distinct_id beside user_id or device_id; keep distinct_id alone, or "
                "user_id and device_id (projects with simplified identity merge)",
            )
        return DistinctId(parse_needed(raw["distinct_id"], f"{place}.distinct_id"))
    if not has_simplified:
        raise SettingsError(
            f"{place}.distinct_id: is missing; name the column that holds the user's id{or_else}",
        )
    user = raw.get("user_id")
    device = raw.get("device_id")
    return SimplifiedId(
        user=None if user is None else parse_needed(user, f"{place}.user_id"),
        device=None if device is None else parse_needed(device, f"{place}.device_id"),
    )
