"""To which hosts may credentials go? https to a name, or a loopback address."""

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

from target_mixpanel.errors import SettingsError

_HTTPS_PORT: Final = 443
_HOST: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?|[0-9a-f:.]*:[0-9a-f:.]*", re.ASCII)


def check_url(url: str, place: str) -> str:
    """
    Return *url* if credentials may be sent there: https to a name, or a loopback address.

    Raises:
        SettingsError: They may not.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise SettingsError(f"{place}: is not a URL") from None
    host = parts.hostname
    if parts.scheme not in {"https", "http"} or not host:
        raise SettingsError(f"{place}: is not a URL; write https:// and the host's name")
    if parts.username is not None or parts.password is not None:
        raise SettingsError(f"{place}: holds a user; credentials have settings of their own")
    if not _is_loopback(host) and not _HOST.fullmatch(host):
        raise SettingsError(f"{place}: is not a URL; write https:// and the host's name")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise SettingsError(f"{place}: write only https:// and the host's name, no path")
    base = f"{parts.scheme}://{parts.netloc}"
    if _is_loopback(host):
        return base
    if parts.scheme == "http":
        raise SettingsError(f"{place}: must be https; plain http is for a sandbox on loopback only")
    if _is_ip(host):
        raise SettingsError(f"{place}: must name the host, not give its address")
    if port not in {None, _HTTPS_PORT}:
        raise SettingsError(f"{place}: must use https's own port")
    return base


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        # Not an address as written; a resolver takes "2130706433" and "0x7f.1" for one, too.
        return re.fullmatch(r"0x[0-9a-f]*|\d+", host.rstrip(".").rpartition(".")[2]) is not None
    return True


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
