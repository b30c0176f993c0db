"""No log line shows a secret, in whatever form and from whatever logger it comes."""

import base64
import io
import json
import logging
from urllib.parse import quote

import pytest
import requests

from target_mixpanel.credentials import ProjectToken, ServiceAccount, spellings
from target_mixpanel.errors import listed, printable
from target_mixpanel.redaction import REDACTED, Redactor, Secrets

TOKEN = "canary-9f31ab"
ODD = 'can"ary \\ é/1'


@pytest.fixture
def log():
    """A logger whose handler redacts, and what it wrote."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    account = ServiceAccount("me", TOKEN, "1")
    handler.addFilter(Redactor(Secrets(spellings([TOKEN, ODD], account))))
    logger = logging.getLogger("tests.redactor")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    logger.written = written
    yield logger
    logger.removeHandler(handler)


def basic(pair):
    return base64.b64encode(pair.encode()).decode()


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(TOKEN, id="itself"),
        pytest.param(basic(f"{TOKEN}:"), id="basic-token"),
        pytest.param(basic(f"me:{TOKEN}"), id="basic-account"),
        pytest.param(ODD, id="odd"),
        pytest.param(quote(ODD, safe=""), id="url"),
    ],
)
@pytest.mark.parametrize(
    ("text", "make_arguments"),
    [
        pytest.param("a %s b", lambda form: (form,), id="argument"),
        pytest.param("a %(x)s b", lambda form: ({"x": form},), id="mapping"),
        pytest.param("a %s b", lambda form: (ValueError(form),), id="exception"),
        pytest.param("a %s b", lambda form: ([form],), id="list"),
    ],
)
def test_every_form_in_every_argument(log, form, text, make_arguments):
    log.info(text, *make_arguments(form))
    shown = log.written.getvalue()

    assert REDACTED in shown
    assert TOKEN not in shown
    assert "ary" not in shown


@pytest.mark.parametrize("form", [TOKEN, ODD, repr(ODD), json.dumps(ODD)])
def test_every_form_in_the_message_itself(log, form):
    log.info("a " + form + " 100% b")  # noqa: G003

    assert REDACTED in log.written.getvalue()
    assert "ary" not in log.written.getvalue()


@pytest.mark.parametrize("text", ["a %d b", "a b", "a %s %s b", "a %(x)s b", "a %"])
def test_arguments_that_do_not_fit_are_not_shown(log, text, capsys):
    """Logging itself would print them to stderr as they are."""
    log.info(text, TOKEN)

    assert TOKEN not in log.written.getvalue() + capsys.readouterr().err
    assert log.written.getvalue().startswith("a ")


def test_tracebacks(log):
    def fail():
        raise ValueError(f"token {TOKEN}")

    try:
        try:
            fail()
        except ValueError as error:
            raise RuntimeError(TOKEN) from error
    except RuntimeError:
        log.exception("failed")
    shown = log.written.getvalue()

    assert shown.count("Traceback") == 2
    assert "RuntimeError: [redacted]" in shown
    assert TOKEN not in shown.replace(f'"token {{{TOKEN}}}"', "")


def test_what_another_handler_formatted_before(log):
    record = log.makeRecord("x", 20, "f", 1, "m", (), None, extra={"header": f"Basic {TOKEN}"})
    record.exc_text = f"Traceback {TOKEN}"
    record.stack_info = f"Stack {TOKEN}"
    log.handle(record)

    assert TOKEN not in log.written.getvalue() + str(record.__dict__)


def test_other_messages_are_left_alone(log):
    log.info("%d rows, %s%%", 7, 50)

    assert log.written.getvalue() == "7 rows, 50%\n"


def test_a_longer_secret_goes_first():
    assert Secrets(["abcd", "abcd-efgh"]).hide("abcd-efgh abcd") == f"{REDACTED} {REDACTED}"


def test_what_is_too_short_is_no_secret():
    assert Secrets(["a", "", "abc"]).hide("abc") == "abc"


def test_urllib3s_debug_lines(log, sandbox):
    """The real thing, at the most talkative level."""
    urllib3_log = logging.getLogger("urllib3")
    urllib3_log.setLevel(logging.DEBUG)
    for handler in log.handlers:
        urllib3_log.addHandler(handler)
    try:
        url = f"{sandbox.url}/import?token={TOKEN}"
        requests.post(url, data=b"x", auth=(TOKEN, ""), timeout=5)
    finally:
        urllib3_log.setLevel(logging.NOTSET)
        for handler in log.handlers:
            urllib3_log.removeHandler(handler)
    shown = log.written.getvalue()

    assert f"/import?token={REDACTED}" in shown
    assert TOKEN not in shown


def test_a_token_has_its_forms():
    forms = set(spellings(["s3cret/+"], ProjectToken("s3cret/+")))

    assert {"s3cret/+", "s3cret%2F%2B", basic("s3cret/+:")} <= forms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain é 日本", "plain é 日本"),
        ("a\r\nERROR forged", "a\\r\\nERROR forged"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\u2028b\u2029c\x85", "a\\u2028b\\u2029c\\x85"),
        ("\u202eevil", "\\u202eevil"),
        ("\ud800", "\\ud800"),
        ("x" * 300, "x" * 200 + "…"),
    ],
    ids=ascii,
)
def test_names_from_outside_stay_on_their_line(text, expected):
    assert expected == printable(text)
    assert listed([text]) == f'"{expected}"'
