"""
A Mixpanel to try things on: the documented ingestion API on 127.0.0.1.

It judges by the public documentation and shares no code with the client, not
even a constant: a shared one would let client and judge make the same mistake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_mixpanel.sandbox.fault_spec import FaultSpec
from target_mixpanel.sandbox.settings import SandboxSettings

if TYPE_CHECKING:
    from target_mixpanel.sandbox.in_process import Sandbox

__all__ = ["FaultSpec", "Sandbox", "SandboxSettings"]


def __getattr__(name: str) -> object:
    # Late, so that __main__ can name the missing extra instead of a traceback.
    if name == "Sandbox":
        from target_mixpanel.sandbox.in_process import Sandbox  # noqa: PLC0415

        return Sandbox
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
