"""
Load Mixpanel from any Singer tap, or from Python.

What a program needs, `Engine` and `parse_settings`, is imported when it is first asked for: the
sandbox, below this package too, shares nothing with it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from target_mixpanel.engine.engine import Engine
    from target_mixpanel.settings.parse import parse_settings

from target_mixpanel.version import __version__

__all__ = ["Engine", "__version__", "parse_settings"]


def __getattr__(name: str) -> Any:
    match name:
        case "Engine":
            from target_mixpanel.engine.engine import Engine  # noqa: PLC0415 (see above)

            return Engine
        case "parse_settings":
            from target_mixpanel.settings.parse import parse_settings  # noqa: PLC0415

            return parse_settings
        case _:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
