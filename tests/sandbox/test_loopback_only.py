"""Nobody but this machine's own programs can reach the sandbox."""

import socket

import pytest


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", "", "["])
@pytest.mark.parametrize("path", ["/", "/sandbox/summary", "/import"])
def test_other_names_are_refused(sandbox, http, host, path):
    """A page of another site can make its own name point here."""
    reply = http.get(f"{sandbox.url}{path}", headers={"Host": host})

    assert reply.status_code == 421


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:80", "[::1]:8080"])
def test_its_own_names_are_not(sandbox, http, host):
    reply = http.get(f"{sandbox.url}/sandbox/summary", headers={"Host": host})

    assert reply.status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_other_sites_pages_are_refused(sandbox, http, origin):
    reply = http.post(f"{sandbox.url}/sandbox/reset", headers={"Origin": origin})

    assert reply.status_code == 403


def test_it_listens_on_the_loopback_address_only(sandbox):
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.2", sandbox.port), timeout=1)
