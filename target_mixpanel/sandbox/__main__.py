"""How is the sandbox started from a shell?"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from typing import Any, Final

import msgspec

from target_mixpanel.sandbox.settings import SandboxSettings

NEEDED: Final = ("starlette", "uvicorn")
"""What the extra brings."""

MISSING: Final = "The sandbox needs starlette and uvicorn: pip install 'target-mixpanel[sandbox]'"

HELP: Final = {
    "token": "the project token",
    "service_account": "the service account's name",
    "secret": "the service account's secret",
    "project_id": "the project that the service account may use",
    "project_mode": "identity management: simplified or original",
    "max_events": "rows in one request",
    "max_request_bytes": "uncompressed bytes in one request; older pages say 2097152",
    "max_event_bytes": "an event must be smaller",
    "too_many_events_status": "reply to more rows than that: 413 or 400",
    "lenient_rows": "rows that break a rule, with strict=0: keep or drop",
    "failed_id_key": "key in failed_records: insert_id or $insert_id",
    "profile_success": "/engage answers 1 if all, or any, updates were valid",
    "failed_profiles": "valid updates beside an invalid one: apply or drop",
    "profiles_accept_gzip": "true: /engage and /groups take gzip, against the documentation",
    "events_per_second": "rows a second, averaged over the window; none lifts it",
    "bytes_per_minute": "uncompressed bytes a minute; none lifts it",
    "rate_window_s": "the rolling window of both, in seconds",
    "max_table_bytes": "uncompressed bytes of one lookup table",
    "max_table_rows": "rows of all lookup tables together",
    "max_table_calls": "replacements of lookup tables in 24 hours",
    "keep_rows": "keep this many of the newest events and updates; 0 only counts; none keeps all",
    "keep_alive_s": "close a connection that is idle for so many seconds",
}
"""A flag for every setting but lookup_tables, which has its own."""


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; return the exit code."""
    if not all(map(importlib.util.find_spec, NEEDED)):
        print(MISSING, file=sys.stderr)  # noqa: T201 - before any logging exists
        return 1
    from target_mixpanel.sandbox.server import serve  # noqa: PLC0415 - needs the extra

    parser = _parser()
    given = vars(parser.parse_args(arguments))
    port = given.pop("port")
    try:
        settings = _settings(given)
        serve(port, settings)
    except (OSError, OverflowError, ValueError) as error:
        parser.error(str(error))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m target_mixpanel.sandbox",
        usage="%(prog)s [--port PORT] [options]",
        description="A local Mixpanel for tests and demos, on 127.0.0.1 only.",
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one")
    parser.add_argument(
        "--lookup-table",
        action="append",
        metavar="ID=NAME",
        help="a lookup table that exists; may be repeated",
    )
    defaults = msgspec.structs.asdict(SandboxSettings())
    for name, meaning in HELP.items():
        flag = "--" + name.replace("_", "-")
        parser.add_argument(flag, help=f"{meaning} (default: {str(defaults[name]).lower()})")
    return parser


def _settings(given: dict[str, Any]) -> SandboxSettings:
    if "lookup_table" in given:
        pairs = (text.partition("=")[::2] for text in given.pop("lookup_table"))
        given["lookup_tables"] = dict(pairs)
    return msgspec.convert(given, SandboxSettings, strict=False)


if __name__ == "__main__":
    sys.exit(main())
