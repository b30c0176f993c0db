"""
Run tap-mixpanel, all of it, with Mixpanel's hosts replaced by servers on this machine.

Run by the tap's own Python; what is where is in MIXPANEL_AT_HOME, as JSON: a host of Mixpanel's to
`127.0.0.1:8080`, or to `127.0.0.1:8080?project_id=1` where that is asked for, too: the tap knows
the older secret of a project, the sandbox service accounts alone.
"""

import json
import os
import sys
from typing import Any
from urllib.parse import urlsplit

import tap_mixpanel  # type: ignore[import-not-found]
from requests.adapters import HTTPAdapter

AT_HOME = json.loads(os.environ["MIXPANEL_AT_HOME"])

_send = HTTPAdapter.send


def send_home(adapter: HTTPAdapter, request: Any, **more: Any) -> Any:
    """Send *request* to where its host is at home; to no other at all."""
    asked = urlsplit(request.url)
    netloc, _, query = AT_HOME[asked.netloc].partition("?")
    query = "&".join(filter(None, (asked.query, query)))
    request.url = asked._replace(scheme="http", netloc=netloc, query=query).geturl()
    return _send(adapter, request, **more)


HTTPAdapter.send = send_home  # type: ignore[assignment,method-assign]
sys.exit(tap_mixpanel.main())
