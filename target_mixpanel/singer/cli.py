"""The one command, `target-mixpanel`: how does it begin?"""

import sys

from target_mixpanel.commands import find_command
from target_mixpanel.commands.signals import end_at_once_on_signals


def main() -> None:
    """Run the command; a signal is heard from the first line on."""
    end_at_once_on_signals()
    command = find_command(sys.argv[1]) if len(sys.argv) > 1 else None
    if command is not None:
        command.main(sys.argv[2:], prog_name=f"target-mixpanel {sys.argv[1]}")
    # The SDK takes a third of a second to import.
    from target_mixpanel.singer.target import TargetMixpanel  # noqa: PLC0415

    TargetMixpanel.cli()
