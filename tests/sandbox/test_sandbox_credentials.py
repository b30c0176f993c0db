"""Only the two documented credentials open /import, and only one of them the rest."""

import pytest

ACCOUNT = ("sandbox.mp-service-account", "sandbox-secret")
INVALID = {"code": 401, "error": "Invalid credentials", "status": "Unauthorized"}


@pytest.mark.parametrize(
    ("auth", "query"),
    [
        pytest.param(("sandbox-token", ""), {}, id="token"),
        pytest.param(ACCOUNT, {"project_id": "1"}, id="service-account"),
    ],
)
def test_a_credential_opens_import(sandbox, event, import_, auth, query):
    assert import_(sandbox, [event()], auth=auth, **query).status_code == 200


@pytest.mark.parametrize(
    ("auth", "query"),
    [
        pytest.param(None, {}, id="none"),
        pytest.param(("other-token", ""), {}, id="wrong-token"),
        pytest.param(("sandbox-token", "password"), {}, id="token-with-password"),
        pytest.param(("sandbox-token", ""), {"project_id": "1"}, id="token-with-project"),
        pytest.param(ACCOUNT, {}, id="service-account-without-project"),
        pytest.param(ACCOUNT, {"project_id": "2"}, id="another-project"),
        pytest.param((ACCOUNT[0], "wrong"), {"project_id": "1"}, id="wrong-secret"),
        pytest.param(("é", "ü"), {"project_id": "1"}, id="not-ascii"),
    ],
)
def test_anything_else_does_not(sandbox, event, import_, auth, query):
    reply = import_(sandbox, [event()], auth=auth, **query)

    assert reply.status_code == 401
    assert reply.json() == INVALID
    assert sandbox.raw() == []


@pytest.mark.parametrize(
    ("header", "status"),
    [
        pytest.param("Basic sandbox-token:", 200, id="plain-text"),
        pytest.param("basic c2FuZGJveC10b2tlbjo=", 200, id="lower-case"),
        pytest.param("Bearer sandbox-token:", 401, id="bearer"),
        pytest.param("Basic !!!", 401, id="not-base64"),
        pytest.param("Basic /w==", 401, id="not-utf8"),
    ],
)
def test_forms_of_the_header(sandbox, event, import_, header, status):
    reply = import_(sandbox, [event()], auth=None, headers={"Authorization": header})

    assert status == reply.status_code


def test_credentials_can_be_chosen(start, event, import_):
    own = start(token="t", service_account="a", secret="s", project_id="9")

    assert import_(own, [event()], auth=("t", "")).status_code == 200
    assert import_(own, [event()], auth=("a", "s"), project_id="9").status_code == 200
    assert import_(own, [event()]).status_code == 401


def test_no_credential_is_kept(sandbox, event, import_, http):
    import_(sandbox, [event()], auth=("canary-token", ""))
    log = http.get(f"{sandbox.url}/sandbox/requests").text

    assert "canary" not in log
    assert "Y2FuYXJ5" not in log
