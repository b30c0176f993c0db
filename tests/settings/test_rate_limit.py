"""The Redis that keeps the loaders' limit: what its URL may say, and what it needs beside it."""

import pytest

from target_mixpanel.engine.sending import _key_of, shared_rate_of
from target_mixpanel.errors import SettingsError
from target_mixpanel.settings.parse import parse_settings
from tests.settings.test_parsed_settings import ACCOUNT, VALID

CANARY = "c4n4ry"
PACED = {**VALID, "max_events_per_second": 10_000}


def message(url, config=PACED):
    with pytest.raises(SettingsError) as error:
        parse_settings({**config, "rate_limit_url": url})
    text = str(error.value)
    assert text.isprintable()
    assert CANARY not in text
    return text


@pytest.mark.parametrize(
    "url",
    [
        "redis://redis.internal",
        "redis://127.0.0.1:6380/3",
        "redis://[::1]:6379",
        f"rediss://:{CANARY}@redis.internal:6379/0",
        f"rediss://loader:{CANARY}%40%23@redis.internal/",
        "rediss://redis.internal?ssl_ca_certs=/etc/ca.pem&ssl_certfile=a.pem&ssl_keyfile=a.key",
    ],
)
def test_urls_that_are_taken(url):
    assert parse_settings({**PACED, "rate_limit_url": url}).rate_limit_url == url


@pytest.mark.parametrize(
    ("url", "words"),
    [
        pytest.param(CANARY, "is not the URL of a Redis", id="a-word"),
        pytest.param(f"https://{CANARY}.example", "is not the URL of a Redis", id="https"),
        pytest.param(f"unix:///tmp/{CANARY}", "is not the URL of a Redis", id="a-socket"),
        pytest.param(f"redis://:{CANARY}@", "is not the URL of a Redis", id="no-host"),
        pytest.param(f"redis://:{CANARY}#1@h", "in the password as %23", id="hash-as-it-is"),
        pytest.param(f"redis://:a/{CANARY}@h", "in the password as %23", id="slash-as-it-is"),
        pytest.param(f"redis://h:{CANARY}", "is not the URL of a Redis", id="port"),
        pytest.param(f"redis://h:70000/{CANARY}", "is not the URL of a Redis", id="large-port"),
        pytest.param(f"redis://[{CANARY}/", "is not the URL of a Redis", id="bracket"),
        pytest.param(f"redis://:{CANARY} b@h", "write it as %20", id="blank"),
        pytest.param(f"redis://{CANARY}@h", "a user and no password", id="no-password"),
        pytest.param(f"redis://h/{CANARY}", "no number of a database", id="database"),
        pytest.param("redis://h/0/1", "no number of a database", id="path"),
        pytest.param(f"rediss://h?ssl_cert_reqs={CANARY}", "may only name files", id="off-switch"),
        pytest.param(f"redis://h?socket_timeout=9&x={CANARY}", "may only name files", id="other"),
        pytest.param(f"redis://h?ssl_ca_certs={CANARY}", "write rediss://", id="tls-without"),
    ],
)
def test_urls_that_are_not(url, words):
    text = message(url)

    assert text.startswith("rate_limit_url: ")
    assert words in text


def test_there_must_be_a_limit_to_share():
    text = message(f"redis://:{CANARY}@h", VALID)

    assert text.startswith("max_events_per_second: is missing; ")
    assert "rate_limit_url" in text


def test_its_password_is_a_secret_as_it_is_written_and_as_it_is():
    url = f"redis://:{CANARY}%23%2F@h"
    settings = parse_settings({**PACED, "rate_limit_url": url})

    assert {url, f"{CANARY}%23%2F", f"{CANARY}#/"} <= {*settings.secrets()}
    assert {*settings.secrets()} <= {*settings.private_texts()}


def key(**more):
    return _key_of(parse_settings({**PACED, "rate_limit_url": "redis://h", **more}))


def test_loaders_of_one_project_have_one_limit():
    assert key() == key(max_events_per_second=5) == key(**ACCOUNT) == key(since="30d")
    assert key() == key(region=None, api_url="https://api-eu.mixpanel.com")


def test_other_projects_have_others():
    account_alone = key(project_token=None, **ACCOUNT)
    other_account = key(project_token=None, **{**ACCOUNT, "project_id": "43"})
    keys = {key(), key(region="us"), key(project_token="token-2"), account_alone, other_account}

    assert len(keys) == 5
    assert not [each for each in keys if "token" in each]


def test_without_the_setting_nothing_is_shared():
    assert shared_rate_of(parse_settings(PACED)) is None
