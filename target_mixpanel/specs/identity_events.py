"""May a mapping name its event so, if that event changes who is who?"""

from typing import Final

from target_mixpanel.errors import listed
from target_mixpanel.limits import IDENTITY_EVENTS
from target_mixpanel.specs.spec import Constant, Properties

NOT_IN_SIMPLIFIED_MERGE: Final = (
    "an identity event, for which a project with simplified identity merge refuses the whole "
    "request; set identity: original if the project's merge is original"
)


def identity_flaw(event: str, properties: Properties, *, is_original: bool) -> str | None:
    """Return why a mapping of these properties may not name its event so, None if it may."""
    needed = IDENTITY_EVENTS.get(event)
    if needed is None:
        return None
    if not is_original:
        return f'"{event}" is {NOT_IN_SIMPLIFIED_MERGE}'
    mapped = {name for name, source in properties.sources if source != Constant(None)}
    missing = [name for name in needed if name not in mapped]
    return f'"{event}" needs {listed(missing)}; map each by name in properties' if missing else None
