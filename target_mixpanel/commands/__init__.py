"""
What a person types beside loading from a tap: `target-mixpanel COMMAND …`.

A command is imported when it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import click

COMMANDS: Final = {"load": "target_mixpanel.commands.load"}
"""By name: the module whose `command` it is."""


def find_command(name: str) -> "click.Command | None":
    """Return the command *name*; None: it is none of ours, but the Singer target's argument."""
    module = COMMANDS.get(name)
    return None if module is None else import_module(module).command
