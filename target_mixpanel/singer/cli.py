"""The one command, `target-mixpanel`: how does it begin?"""

from target_mixpanel.singer.signals import end_at_once_on_signals


def main() -> None:
    """Run the command; a signal is heard from the first line on."""
    end_at_once_on_signals()
    # The SDK takes a third of a second to import.
    from target_mixpanel.singer.target import TargetMixpanel  # noqa: PLC0415

    TargetMixpanel.cli()
