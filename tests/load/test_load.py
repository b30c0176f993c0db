"""`load`: the same rows through every format and door become the same events."""

import gzip
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from target_mixpanel.sandbox import Sandbox
from tests.buckets import Bucket
from tests.conftest import COMMAND, ORDERS_MAPPING, ORDERS_SCHEMA, Command, Running, order, orders
from tests.load.loads import arguments, content_of, json_lines, load, rows

README = Path(__file__).parents[2] / "README.md"

NAMES = [
    *("a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.csv", "a.csv.gz", "a.tsv", "a.tsv.zst"),
    "a.parquet",
]


def events(sandbox: Sandbox) -> list[dict]:
    return sorted(sandbox.report(), key=lambda event: int(event["properties"]["id"]))


def ids(sandbox: Sandbox) -> list[str]:
    return [event["properties"]["$insert_id"] for event in events(sandbox)]


@pytest.mark.parametrize("name", NAMES)
def test_every_format_loads(command: Command, sandbox: Sandbox, tmp_path: Path, name: str):
    path = tmp_path / name
    path.write_bytes(content_of(name, rows(300)))
    done = load(command, path)

    assert done.code == 0, done.stderr
    assert [str(n) for n in range(300)] == [str(e["properties"]["id"]) for e in events(sandbox)]
    assert command.report()["accepted"] == 300


def test_a_bucket_loads(command: Command, sandbox: Sandbox, bucket: Bucket):
    for name in NAMES:
        bucket.put(f"orders/{name}", content_of(name, rows(40)))
    done = load(command, f"{bucket.url}orders/", files_state=f"{bucket.url}state/")
    again = load(command, f"{bucket.url}orders/", files_state=f"{bucket.url}state")

    assert (done.code, again.code) == (0, 0), done.stderr + again.stderr
    assert len(sandbox.report()) == 80  # texts of CSV are other ids than numbers
    assert "read 320, accepted 320" in done.stderr
    assert "rows 0" in again.stderr


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_the_singer_door_and_load_send_the_same_events(
    command: Command, sandbox: Sandbox, tmp_path: Path, name: str
):
    command.run(ORDERS_SCHEMA, orders(300))
    through_singer = events(sandbox)
    sandbox.reset()
    path = tmp_path / name
    path.write_bytes(content_of(name, rows(300)))
    load(command, path)

    assert through_singer == events(sandbox)


def test_csv_has_the_ids_of_texts(command: Command, sandbox: Sandbox, tmp_path: Path):
    texts = [{**row, "id": str(row["id"]), "amount": str(row["amount"])} for row in rows(50)]
    (tmp_path / "a.jsonl").write_bytes(json_lines(texts))
    load(command, tmp_path / "a.jsonl")
    through_json = events(sandbox)
    sandbox.reset()
    (tmp_path / "a.csv").write_bytes(content_of("a.csv", rows(50)))
    load(command, tmp_path / "a.csv")

    assert through_json == events(sandbox)


def test_files_says_which_stream_an_object_is(command: Command, sandbox: Sandbox, tmp_path: Path):
    for name in ("orders-1.jsonl", "orders-2.dat", "other.jsonl"):
        (tmp_path / name).write_bytes(json_lines(rows(5)))
    files = [
        {"match": f"{tmp_path}/orders-*.jsonl", "stream": "orders", "key": ["id"]},
        {"match": f"{tmp_path}/*.dat", "stream": "orders", "key": ["id"], "format": "jsonl"},
    ]
    options = ["load", *command.arguments(files=files)]
    with Running([*options, f"{tmp_path}/orders-*"]) as running:
        done = running.finish()
    with Running([*options, f"{tmp_path}/other.jsonl"]) as running:
        refused = running.finish()

    assert (done.code, command.report()["accepted"]) == (0, 10), done.stderr
    assert (refused.code, len(refused.errors)) == (1, 1)
    assert "no entry of files says which stream it is" in refused.errors[0]


def test_a_rejected_row_goes_to_the_dead_letters_and_loads_again(
    command: Command, sandbox: Sandbox, tmp_path: Path
):
    records = rows(100)
    records[40]["user_id"] = None
    (tmp_path / "a.jsonl").write_bytes(json_lines(records))
    rejected = tmp_path / "rejected"
    done = load(command, tmp_path / "a.jsonl", dead_letter_path=str(rejected))
    (letters,) = rejected.iterdir()
    lines = letters.read_text().splitlines()

    assert (done.code, len(sandbox.report())) == (0, 99)
    assert json.loads(lines[1])["record"] == records[40]
    letters.write_text("\n".join(lines).replace('"user_id":null', '"user_id":"u"') + "\n")
    letters.write_text(letters.read_text().replace('"user_id": null', '"user_id": "u"'))
    again = command.run(arguments=["--input", str(letters)])
    assert (again.code, len(sandbox.report())) == (0, 100), again.stderr


def test_dead_letters_load_as_an_input_does(command: Command, sandbox: Sandbox, bucket: Bucket):
    """Whoever types `load` before their URL gets what `--input` would do."""
    letters = {"dead_letter_path": f"{bucket.url}rejected", "max_rejection_rate": 1}
    command.run(ORDERS_SCHEMA, orders(3), order(3, user_id=None), **letters)
    mended = {"orders": ORDERS_MAPPING | {"distinct_id": {"value": "x"}}}
    given = ["load", *command.arguments(streams=mended)]
    with Running([*given, f"{bucket.url}rejected/"], is_warm=False) as running:
        done = running.finish()
    bucket.put("rejected/rows.jsonl", json_lines(rows(1)))
    with Running([*given, f"{bucket.url}rejected/"], is_warm=False) as running:
        mixed = running.finish()

    assert done.code == 0, done.stderr
    assert "orders: read 1, accepted 1" in done.stderr
    assert len(sandbox.report()) == 4
    (error,) = mixed.errors
    assert error.endswith("holds Singer messages; give it to target-mixpanel --input")


def test_the_singer_sdk_is_not_imported(command: Command, tmp_path: Path):

    code = (
        "import sys, os; from target_mixpanel.commands import find_command; find_command('load'); "
        "print([name for name in sys.modules if name.split('.')[0] in "
        "('singer_sdk', 'pyarrow', 'obstore')])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout

    assert shown == b"[]\n"
    assert subprocess.run([*COMMAND, "load", "--help"], capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.jsonl.gz", gzip.compress(json_lines(rows(3000)))[:-20], "is cut off"),
        (
            "a.jsonl.gz",
            gzip.compress(json_lines(rows(3000)))[:-8] + b"\0" * 8,
            "is damaged",
        ),
        ("a.jsonl", json_lines(rows(3000)) + b'{"id": 3, SECRET}\n', "row 3,001: "),
        ("a.jsonl", json_lines(rows(3000)) + b"S" * 17_000_000, "line 3,001 has more than"),
        ("a.csv", content_of("a.csv", rows(3000)) + b"1,2\n", "row 3,001 has 2 cells"),
        ("a.csv", content_of("a.csv", rows(3000)) + b'1,"2,SECRET\n', "row 3,001 cannot be read"),
    ],
    ids=["cut", "crc", "no-json", "giant", "ragged", "quote"],
)
def test_what_came_before_a_fault_is_loaded(
    command: Command, sandbox: Sandbox, tmp_path: Path, name: str, content: bytes, expected: str
):
    """And the place is noted."""
    (tmp_path / name).write_bytes(content)
    done = load(command, tmp_path / name, files_state=str(tmp_path / "state"))
    (note,) = (tmp_path / "state").iterdir()

    assert done.code == 1
    assert len(done.errors) == 1
    assert expected in done.errors[0]
    assert "SECRET" not in done.stderr
    assert "Traceback" not in done.stderr
    noted = json.loads(note.read_bytes())
    assert 0 < noted["rows"] <= len(sandbox.report()) <= 3000
    assert not noted["is_done"]


@pytest.mark.parametrize("is_remote", [False, True], ids=["folder", "bucket"])
def test_hidden_names_are_passed_over_and_told(
    command: Command, sandbox: Sandbox, tmp_path: Path, bucket: Bucket, is_remote: bool
):
    """Those that Spark and the like leave there are not told of: there are no rows behind them."""
    quiet = ["_SUCCESS", "_delta_log/0.json", ".b.jsonl.crc", "_committed_7"]
    loud = ["_c.jsonl", ".d.jsonl", "_e/f.jsonl"]
    for name in ["a.jsonl", *quiet, *loud]:
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(json_lines(rows(5)))
        bucket.put(f"in/{name}", json_lines(rows(5)))
    home = bucket.url if is_remote else f"{tmp_path}/"
    done = load(command, f"{home}in")
    (told,) = [line for line in done.stderr.splitlines() if "passed over 3 names" in line]

    assert (done.code, len(sandbox.report())) == (0, 5), done.stderr
    assert "WARNING" in told
    assert all(f'in/{name}"' in told for name in ("_c.jsonl", ".d.jsonl", "_e"))
    assert not any(name.partition("/")[0] in told for name in quiet)
    assert json.loads(command.report_path.read_bytes())["names_passed_over"] == 3

    named = load(command, f"{home}in/_c.jsonl", f"{home}in/a.jsonl")
    assert (named.code, command.report()["accepted"]) == (0, 10), named.stderr
    assert "passed over" not in named.stderr


@pytest.mark.parametrize("is_done", [False, True], ids=["first", "again"])
def test_many_small_objects_are_asked_for_ahead(
    command: Command, sandbox: Sandbox, bucket: Bucket, is_done: bool
):
    """In their order all the same; and those that are done are passed over."""
    for number in range(40):
        bucket.put(f"many/{number:03}.jsonl", json_lines(rows(3, number * 3)))
    state = f"{bucket.url}state"
    if is_done:
        load(command, f"{bucket.url}many/", files_state=state)
    done = load(command, f"{bucket.url}many/", files_state=state)

    assert done.code == 0, done.stderr
    received = [event["properties"]["id"] for event in sandbox.raw()]
    assert received == list(range(120))


def test_a_rejection_without_a_place_ends_the_load_where_it_is(
    command: Command, sandbox: Sandbox, tmp_path: Path
):
    records = rows(6_000)
    records[5_000]["user_id"] = None
    (tmp_path / "a.jsonl").write_bytes(json_lines(records))
    done = load(command, tmp_path / "a.jsonl", files_state=str(tmp_path / "state"))
    (note,) = (tmp_path / "state").iterdir()

    assert (done.code, len(done.errors), len(sandbox.report())) == (1, 1, 5_000), done.stderr
    assert 0 < json.loads(note.read_bytes())["rows"] <= 5_000


def test_a_list_of_json_says_what_to_do(command: Command, tmp_path: Path):
    (tmp_path / "a.json").write_text(json.dumps(rows(3)))
    done = load(command, tmp_path / "a.json")

    assert (done.code, len(done.errors)) == (1, 1)
    assert "row 1: " in done.errors[0]
    assert "jq -c '.[]'" in done.errors[0]


def test_what_mixpanel_exports_loads_as_it_was(command: Command, sandbox: Sandbox, tmp_path: Path):
    """The README's mapping: the same ids, times and properties, so it is a repeat of the first."""
    (tmp_path / "a.jsonl").write_bytes(json_lines(rows(20)))
    load(command, tmp_path / "a.jsonl")
    before = events(sandbox)
    (tmp_path / "export.jsonl").write_bytes(json_lines(sandbox.raw()))
    (written,) = re.findall(r'`(\{"event_from": "event".*?\}\})`', README.read_text(), re.DOTALL)
    mapping = json.loads(written)
    done = load(command, tmp_path / "export.jsonl", key=(), streams={"orders": mapping})

    assert done.code == 0, done.stderr
    assert len(sandbox.raw()) == 40
    assert events(sandbox) == before


def test_a_changed_object_is_loaded_again(command: Command, sandbox: Sandbox, tmp_path: Path):
    path, state = tmp_path / "a.jsonl", str(tmp_path / "state")
    path.write_bytes(json_lines(rows(10)))
    load(command, path, files_state=state)
    path.write_bytes(json_lines(rows(20)))
    load(command, path, files_state=state)
    received = len(sandbox.raw())
    third = load(command, path, files_state=state)

    assert (len(sandbox.report()), received, len(sandbox.raw())) == (20, 30, 30)
    assert third.code == 0


def test_a_terminal_sees_how_far_it_is(command: Command, tmp_path: Path):

    (tmp_path / "a.jsonl").write_bytes(json_lines(rows(300)))
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments(command, tmp_path / "a.jsonl")],
        stderr=follower,
        env={**os.environ, "COLUMNS": "300", "TERM": "xterm"},
    )
    os.close(follower)
    shown = bytearray()
    try:
        while chunk := os.read(leader, 65_536):
            shown += chunk
    except OSError:  # how Linux says that the other end is gone
        pass
    os.close(leader)

    assert process.wait(timeout=60) == 0
    assert b"files 0/1" in shown
    assert b"s left" in shown
