"""Secrets of every kind, a person in the records, and a run that must show neither."""

import base64
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from target_mixpanel.sandbox import Sandbox
from tests.conftest import ORDERS_MAPPING, Command, Finished, order

TOKEN = "c4narytoken0123456789abcdef"
USERNAME = "canary.1234.mp-service-account"
SECRET = 'c4nary/s3cret+"=='
HASH_KEY = "c4nary-hash-key"
PERSON = "canary.person@example.com"


def basic(pair: str) -> str:
    return base64.b64encode(pair.encode()).decode()


SECRETS = [TOKEN, HASH_KEY, SECRET]
FORMS = [
    *SECRETS,
    json.dumps(SECRET)[1:-1],
    quote(SECRET, safe=""),
    basic(f"{TOKEN}:"),
    basic(f"{USERNAME}:{SECRET}"),
]
ACCOUNT = {
    "service_account_username": USERNAME,
    "service_account_secret": SECRET,
    "project_id": "1",
}
MAPPING = {
    **ORDERS_MAPPING,
    "properties": {"id": "id", "note": "note", "who": {"column": "user_id", "hash": True}},
}
PEOPLE = [order(n, user_id=PERSON, note=PERSON) for n in range(3)]
TALKATIVE = {**os.environ, "LOGLEVEL": "DEBUG", "TARGET_MIXPANEL_LOGLEVEL": "DEBUG"}


def leaks(shown: str, *, of: list[str] | None = None) -> list[str]:
    """Return what may not be shown and is."""
    return [each for each in of or [*FORMS, PERSON, "Traceback"] if each in shown]


class Canary:
    """A command with secrets, a sandbox that knows them, and what the run left behind."""

    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.command = Command(folder, sandbox.url)
        self.command.config |= {
            "project_token": TOKEN,
            "hash_key": HASH_KEY,
            **ACCOUNT,
            "streams": {"orders": MAPPING},
            "retry_max_elapsed_seconds": 0.2,
        }
        self._rejected = folder / "rejected"

    def run(self, *messages: Any, **more: Any) -> Finished:
        """Run, check what it showed, and return how it ended."""
        done = self.command.run(*messages, **{"env": TALKATIVE, **more})
        assert leaks(done.stdout + done.stderr) == []
        return done

    def run_with_dead_letters(self, *messages: Any, **more: Any) -> Finished:
        return self.run(
            *messages, dead_letter_path=str(self._rejected), max_rejection_rate=1.0, **more
        )

    def report(self) -> str:
        path = self.command.report_path
        return path.read_text() if path.exists() else ""

    def dead_letters(self) -> str:
        return "".join(path.read_text() for path in self._rejected.glob("*"))


def echo(status: int) -> dict[str, Any]:
    """Return the reply of a server that repeats how it was asked."""
    asked = f"{basic(f'{TOKEN}:')} {basic(f'{USERNAME}:{SECRET}')}"
    return {
        "status": status,
        "body": {"error": f"asked with {TOKEN} {SECRET} {asked}"},
        "headers": {"Location": f"https://{TOKEN}@x.test/?s={quote(SECRET, safe='')}"},
    }
