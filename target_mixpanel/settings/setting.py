"""What is known of one setting: its type, and what people are told of it?"""

from collections.abc import Mapping
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec


class About(msgspec.Struct, frozen=True):
    """What a setting's type does not say; stands beside it in `settings/fields.py`."""

    title: str
    description: str
    """One sentence or a few; `--about`, meltano.yml, the README and Meltano Hub show it."""
    is_secret: bool = False
    """Its value never appears anywhere."""
    is_credential: bool = False
    """It goes into a header, or beside one that does: some characters cannot be in it."""
    is_required: bool = False
    is_the_sdks: bool = False
    """The SDK publishes it, in its own words; these stand in meltano.yml."""
    options: Mapping[str, str] | None = None
    """Values that Meltano offers, and their labels, where it is not all of them by their names."""


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting, as its line in `settings/fields.py` has it."""

    name: str
    about: About
    default: Any
    kind: Any
    """str, int, float, bool, dict or list; Any: a map or a list."""
    choices: tuple[str, ...] = ()
    """The only values that there are, if it has such."""
    bounds: msgspec.Meta | None = None

    @property
    def is_json(self) -> bool:
        """Whether a text, all that the environment can hold, is read as JSON."""
        return self.kind in {dict, list, Any}


def settings_of(fields: type[msgspec.Struct]) -> tuple[Setting, ...]:
    """Return the settings that *fields* lists, in its order; each has a default and an `About`."""
    return tuple(_setting(field) for field in msgspec.structs.fields(fields))


def _setting(field: msgspec.structs.FieldInfo) -> Setting:
    kind, notes = _unwrapped(field.type)
    (about,) = (note for note in notes if isinstance(note, About))
    is_choice = get_origin(kind) is Literal
    has_factory = field.default_factory is not msgspec.NODEFAULT
    return Setting(
        name=field.name,
        about=about,
        default=field.default_factory() if has_factory else field.default,
        kind=str if is_choice else get_origin(kind) or kind,
        choices=get_args(kind) if is_choice else (),
        bounds=next((note for note in notes if isinstance(note, msgspec.Meta)), None),
    )


def _unwrapped(annotation: Any) -> tuple[Any, list[object]]:
    """Return the type within *annotation*, less `| None`, and all the notes on it."""
    notes: list[object] = []
    if get_origin(annotation) is Annotated:
        within, *notes = get_args(annotation)
    elif NoneType in get_args(annotation):
        (within,) = (kind for kind in get_args(annotation) if kind is not NoneType)
    else:
        return annotation, notes
    kind, inner_notes = _unwrapped(within)
    return kind, inner_notes + notes
