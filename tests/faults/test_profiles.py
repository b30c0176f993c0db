"""What /engage answers, and what becomes of updates of which nobody knows whether they arrived."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from target_mixpanel.sandbox import Sandbox
from tests.conftest import Command, Finished
from tests.whole_model import SANDBOX, USERS_SCHEMA, reached, record, schema, user

FOR_EVER = -1
PEOPLE = 30
LAST = reached(1)
VISITS_SCHEMA = schema("visits", "id", id="integer", who="string", pages="integer")
BY_WHO = {"type": "users", "distinct_id": "who"}
STREAMS = {
    "users": {"type": "users", "distinct_id": "id", "properties": {"$name": "name"}},
    "visits": {**BY_WHO, "operation": "add", "properties": {"Visits": {"value": 1}}},
    "notes": {**BY_WHO, "operation": "append", "properties": {"Notes": "id"}},
}


def people() -> list[dict[str, Any]]:
    """Return of each person a name, a visit and a note, which are set, added and appended."""
    messages: list[dict[str, Any]] = []
    for number in range(PEOPLE):
        values = {"id": number, "who": f"user-{number}", "pages": 3}
        messages += [
            user(f"user-{number}", f"Name {number}"),
            record("visits", **values),
            record("notes", **values),
        ]
    return messages


INPUT = [VISITS_SCHEMA, {**VISITS_SCHEMA, "stream": "notes"}, USERS_SCHEMA, *people(), LAST]


@pytest.fixture
def updating(loads_all: Command) -> Command:
    loads_all.config |= {"streams": STREAMS, "max_rejection_rate": 1.0, "batch_size_rows": 20}
    return loads_all


def letters_in(folder: Path) -> list[dict[str, Any]]:
    lines = [line for path in folder.iterdir() for line in path.read_text().splitlines()]
    messages = [json.loads(line) for line in lines]
    return [message for message in messages if message["type"] == "RECORD"]


def assert_failed(done: Finished) -> str:
    """Check that the run failed, in one line, without a STATE; return the line."""
    assert (done.code, done.states) == (1, [])
    assert "Traceback" not in done.stderr
    [error] = done.errors
    return error


NO_SUCCESS = [
    pytest.param("0", id="0"),
    pytest.param({"status": 0, "error": "no"}, id="status-0"),
    pytest.param({"status": 0, "error": None, "num_good_events": 0}, id="none-is-good"),
    pytest.param({"status": 1, "error": None, "num_good_events": 0}, id="1-but-none-is-good"),
    pytest.param({"status": 1, "error": "no"}, id="1-with-an-error"),
]


class TestFault21A200ThatIsNoSuccess:
    @pytest.mark.parametrize("body", NO_SUCCESS)
    def test_fault_21_without_a_place(self, updating: Command, project: Sandbox, body: Any):
        project.script({"path": "/engage", "body": body, "times": FOR_EVER})
        done = updating.run(USERS_SCHEMA, user("ada"), user("bob"), LAST)

        assert assert_failed(done).startswith("users: a record was rejected: ")
        assert project.users == {}

    @pytest.mark.parametrize("body", NO_SUCCESS)
    def test_fault_21_set_aside(
        self, updating: Command, project: Sandbox, tmp_path: Path, body: Any
    ):
        folder = tmp_path / "rejected"
        project.script({"path": "/engage", "body": body, "times": FOR_EVER})
        done = updating.run(
            USERS_SCHEMA, user("ada"), user("bob"), LAST, dead_letter_path=str(folder)
        )

        assert (done.code, done.states) == (0, [LAST["value"]])
        assert updating.report("users")["rejected"] == 2
        assert {letter["record"]["id"] for letter in letters_in(folder)} == {"ada", "bob"}

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param("<html></html>", id="page"),
            pytest.param("", id="empty"),
            pytest.param({"status": "ok"}, id="no-status"),
            pytest.param({"status": 1, "num_good_events": 99}, id="more-than-were-sent"),
        ],
    )
    def test_fault_21_that_says_nothing(self, updating: Command, project: Sandbox, body: Any):
        """It is asked again, and in the end nothing is known."""
        project.script({"path": "/engage", "body": body, "body_bytes": 1, "times": FOR_EVER})
        done = updating.run(USERS_SCHEMA, user("ada"), LAST, retry_max_elapsed_seconds=0.3)

        assert_failed(done)
        assert updating.report("users")["pending"] == 1
        assert len(project.requests) > 1

    @pytest.mark.parametrize("success", ["all", "any"])
    @pytest.mark.parametrize("valid", ["apply", "drop"])
    def test_fault_21_the_culprit_is_named(
        self, updating: Command, tmp_path: Path, success: str, valid: str
    ):
        """By every reading of the pages: one update is refused, the others arrive."""
        folder = tmp_path / "rejected"
        columns = {half: [f"{half}{n}" for n in range(1_200)] for half in ("one", "two")}
        schemas = [
            schema(half, "id", id="string", **dict.fromkeys(names, "integer"))
            for half, names in columns.items()
        ]
        # A profile has 2,000 properties at most, so it is not both halves that it can get.
        halves = [
            record(half, id="user-3", **dict.fromkeys(names, 1)) for half, names in columns.items()
        ]
        wide = {"type": "users", "distinct_id": "id", "properties": "*"}
        rules = replace(SANDBOX, profile_success=success, failed_profiles=valid)
        with Sandbox(settings=rules) as project:
            done = updating.run(
                USERS_SCHEMA,
                [user(f"user-{n}", f"Name {n}") for n in range(10)],
                *schemas,
                halves,
                [user(f"user-{n}", f"Name {n}") for n in range(10, 20)],
                LAST,
                api_url=project.url,
                streams={**STREAMS, "one": wide, "two": wide},
                dead_letter_path=str(folder),
            )
            names = {person: known["$name"] for person, known in project.users.items()}
        [letter] = letters_in(folder)

        assert (done.code, done.states) == (0, [LAST["value"]])
        assert names == {f"user-{n}": f"Name {n}" for n in range(20)}
        assert letter["stream"] == "two"
        assert letter["rejection"]["reason"] == "profile exceeds max limit of 2000 properties"


AMBIGUOUS = [
    pytest.param({"reset": "after_ingest"}, id="reset-after"),
    pytest.param({"reset": "before_ingest"}, id="reset-before"),
    pytest.param({"ingest": True, "status": 504}, id="gateway-timeout"),
    pytest.param({"ingest": False, "status": 503}, id="unavailable"),
    pytest.param({"truncate": 9}, id="cut-reply"),
    pytest.param({"ingest": True, "body": "<html></html>"}, id="page"),
    pytest.param({"count_off_by": 0, "delay_s": 2.0}, id="timeout"),
]


class TestFault79WhatIsNotRepeatable:
    """A visit is added and a note appended; neither may be there twice."""

    @pytest.mark.parametrize("fault", AMBIGUOUS)
    def test_fault_79_without_a_place(
        self, updating: Command, project: Sandbox, fault: dict[str, Any]
    ):
        project.script({"path": "/engage", **fault})
        done = updating.run(*INPUT, request_timeout_seconds=1)

        assert "(refused: ambiguous)" in assert_failed(done)
        assert "may have been applied, and twice is not once" in done.errors[0]
        assert_once(project)

    @pytest.mark.parametrize("fault", AMBIGUOUS)
    def test_fault_79_set_aside(
        self, updating: Command, project: Sandbox, tmp_path: Path, fault: dict[str, Any]
    ):
        """What could be there twice is a rejection; the others are repeated, and all arrive."""
        folder = tmp_path / "rejected"
        project.script({"path": "/engage", **fault})
        done = updating.run(*INPUT, request_timeout_seconds=1, dead_letter_path=str(folder))
        letters = letters_in(folder)
        aside = {(letter["stream"], letter["record"]["who"]) for letter in letters}
        names = {person: known.get("$name") for person, known in project.users.items()}

        assert (done.code, done.states) == (0, [LAST["value"]])
        assert names == {f"user-{n}": f"Name {n}" for n in range(PEOPLE)}
        assert {letter["rejection"]["reason"] for letter in letters} == {"ambiguous"}
        assert 0 < len(aside) == len(letters) < PEOPLE
        assert_once(project)
        for person, known in project.users.items():
            assert known.get("Visits") == 1 or ("visits", person) in aside
            assert "Notes" in known or ("notes", person) in aside
        for stream in ("users", "visits", "notes"):
            report = updating.report(stream)
            set_aside = sum(each == stream for each, _ in aside)
            assert (report["accepted"], report["rejected"]) == (PEOPLE - set_aside, set_aside)

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param({"status": 429}, id="rate-limit"),
            pytest.param(
                {"status": 413, "body": {"error": "request exceeds 9 MB"}}, id="too-large"
            ),
            pytest.param(
                {"body": {"status": 0, "error": "no", "num_good_events": 0}}, id="none-is-good"
            ),
        ],
    )
    def test_fault_79_what_applied_nothing_is_no_reason(
        self, updating: Command, project: Sandbox, fault: dict[str, Any]
    ):
        """Mixpanel said that it took nothing of it, so all of it is sent again."""
        project.script({"path": "/engage", **fault})
        done = updating.run(*INPUT)

        assert (done.code, done.states) == (0, [LAST["value"]])
        assert project.users == {
            f"user-{n}": {"$name": f"Name {n}", "Visits": 1, "Notes": [n]} for n in range(PEOPLE)
        }


def assert_once(project: Sandbox) -> None:
    for person, known in project.users.items():
        assert known.get("Visits", 1) == 1, person
        assert len(known.get("Notes", [])) <= 1, person
