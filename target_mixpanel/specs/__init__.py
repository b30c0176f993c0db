"""How does an entry of `streams`, as an operator writes it, become a StreamSpec?"""

from target_mixpanel.specs.streams import parse_streams
from target_mixpanel.specs.written import unknown_key_hint

__all__ = ["parse_streams", "unknown_key_hint"]
