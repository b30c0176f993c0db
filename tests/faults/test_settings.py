"""What an operator can get wrong: rows 76 to 78 of the fault matrix, through the real command."""

import base64
import os
from typing import Any

import pytest

from tests.conftest import ORDERS_SCHEMA, Command, orders, singer, state
from tests.servers import response, says

CANARY = "c4nary-5ecret"
ACCOUNT = {
    "project_token": None,
    "service_account_username": "canary.user",
    "service_account_secret": CANARY,
    "project_id": "42",
}
INPUT = singer(ORDERS_SCHEMA, orders(3), state(2)).removesuffix(b"\n")
LAST = state(2)["value"]
taken = says(response(body=b'{"num_records_imported":3}'))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        pytest.param({"batch_size_rows": 0}, "batch_size_rows", id="no-rows"),
        pytest.param({"batch_size_rows": -1}, "batch_size_rows", id="negative-rows"),
        pytest.param({"batch_size_rows": 2_001}, "batch_size_rows", id="2001-rows"),
        pytest.param({"batch_size_rows": [CANARY]}, "batch_size_rows", id="wrong-type"),
        pytest.param({"batch_rows": CANARY}, "batch_rows", id="unknown"),
        pytest.param({"project_token": None}, "project_token", id="no-credential"),
        pytest.param({"project_token": ""}, "project_token", id="empty-token"),
        pytest.param({"project_token": f"{CANARY}\n"}, "project_token", id="token-with-newline"),
        pytest.param({"project_token": {"x": CANARY}}, "project_token", id="token-of-wrong-type"),
        pytest.param(
            {**ACCOUNT, "service_account_username": None},
            "service_account_username",
            id="half-an-account",
        ),
        pytest.param({**ACCOUNT, "project_id": None}, "project_id", id="account-without-project"),
        pytest.param({"hash_key": [CANARY]}, "hash_key", id="hash-key-of-wrong-type"),
        pytest.param({"streams": {"orders": {"tme": CANARY}}}, "streams.orders", id="mapping"),
    ],
)
def test_fault_76_a_bad_setting_ends_the_run_before_stdin_is_read(
    command: Command, settings: dict[str, Any], named: str
):
    """One line names the setting; the tap, which has written nothing yet, is not waited for."""
    with command.start(**settings) as running:
        running.process.wait(timeout=60)
        done = running.finish()
    (error,) = done.errors

    assert (done.code, done.stdout) == (1, "")
    assert error.startswith(named)
    assert CANARY not in done.stderr
    assert not command.report_path.exists()


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://api.mixpanel.com", id="plain-http"),
        pytest.param(f"https://user:{CANARY}@api.mixpanel.com", id="userinfo"),
        pytest.param("https://93.184.216.34", id="address"),
        pytest.param("http://169.254.169.254", id="metadata-service"),
        pytest.param("https://api.mixpanel.com:8443", id="other-port"),
    ],
)
def test_fault_77_credentials_go_to_no_such_host(command: Command, url: str):
    done = command.run(INPUT, api_url=url)

    assert (done.code, done.states) == (1, [])
    assert done.errors[0].startswith("api_url: ")
    assert CANARY not in done.stderr


class TestFault78TheEnvironment:
    @pytest.fixture(autouse=True)
    def bare(self, monkeypatch: pytest.MonkeyPatch):
        for name in os.environ:
            if name.lower().endswith(("_proxy", "_ca_bundle")) or name == "NETRC":
                monkeypatch.delenv(name)

    def test_fault_78_a_proxy_is_honoured(self, command: Command, serve, monkeypatch):
        proxy = serve(taken)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        done = command.run(INPUT, api_url="http://127.0.0.1:9")

        assert (done.code, done.states) == (0, [LAST])
        assert proxy.requests[0].startswith(b"POST http://127.0.0.1:9/import?strict=1 HTTP/1.1")

    def test_fault_78_a_netrc_is_not(self, command: Command, sandbox, monkeypatch, tmp_path):
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login mallory password wrong\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("NETRC", str(netrc))
        done = command.run(INPUT)

        assert (done.code, done.states) == (0, [LAST])
        assert [request.status for request in sandbox.requests] == [200]

    def test_fault_78_a_ca_bundle_is_honoured(
        self, command: Command, tls, certificates, monkeypatch
    ):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates / "good.pem"))
        server = tls("good", taken)
        done = command.run(INPUT, api_url=server.url)
        sent = base64.b64encode(b"sandbox-token:")

        assert (done.code, done.states) == (0, [LAST])
        assert sent in server.requests[0]

    def test_fault_78_nothing_switches_verification_off(self, command: Command, tls, monkeypatch):
        """Not an empty bundle, and not what some tools take for an order."""
        for name, value in {
            "REQUESTS_CA_BUNDLE": "",
            "CURL_CA_BUNDLE": "",
            "PYTHONHTTPSVERIFY": "0",
            "SSL_CERT_FILE": os.devnull,
        }.items():
            monkeypatch.setenv(name, value)
        server = tls("good", taken)
        done = command.run(INPUT, api_url=server.url)

        assert (done.code, done.states) == (1, [])
        assert "TLS failed" in done.errors[0]
        assert server.requests == []

    def test_fault_78_a_bundle_that_is_not_there(self, command: Command, monkeypatch):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/bundle.pem")
        done = command.run(INPUT)

        assert (done.code, done.states) == (1, [])
        assert done.errors[0].startswith("REQUESTS_CA_BUNDLE: /nowhere/bundle.pem")
