"""`python -m target_mixpanel.sandbox` says where it listens, and leaves when asked."""

import re
import signal
import subprocess
import sys

import pytest

from target_mixpanel.sandbox import SandboxSettings
from target_mixpanel.sandbox.__main__ import HELP

COMMAND = [sys.executable, "-m", "target_mixpanel.sandbox"]


@pytest.fixture
def run():
    """Start the command; return it with the URL of its first line."""
    running = []

    def run(*arguments):
        process = subprocess.Popen(
            [*COMMAND, "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        first = process.stdout.readline()
        [url] = re.findall(r"^Mixpanel sandbox on (http://127\.0\.0\.1:\d+)$", first)
        return process, url

    yield run
    for process in running:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_quietly(run, http, number):
    process, url = run()
    assert http.get(f"{url}/sandbox/summary").status_code == 200
    process.send_signal(number)

    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 0


def test_settings_are_flags(run, http, event):
    _, url = run("--token", "mine", "--max-request-bytes", "99", "--lookup-table", "t1=Products")
    account = ("sandbox.mp-service-account", "sandbox-secret")
    tables = http.get(f"{url}/lookup-tables?project_id=1", auth=account).json()["results"]

    assert http.post(f"{url}/import", json=[event()], auth=("mine", "")).status_code == 413
    assert tables == [{"id": "t1", "name": "Products"}]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--keep-rows", "many"], "keep_rows"),
        (["--project-mode", "other"], "project_mode"),
        (["--events-per-second", "0"], "events_per_second"),
        (["--port", "70000"], "port"),
        (["--host", "0.0.0.0"], "--host"),
    ],
)
def test_bad_arguments_are_one_line(arguments, words):
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert words in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_one_line(sandbox):
    port = ["--port", str(sandbox.port)]
    done = subprocess.run([*COMMAND, *port], capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "in use" in done.stderr.splitlines()[-1]


def test_a_missing_extra_is_one_line():
    script = (
        "import runpy, sys; sys.modules['uvicorn'] = None;"
        "runpy.run_module('target_mixpanel.sandbox', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "pip install 'target-mixpanel[sandbox]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_every_setting_has_a_flag():
    assert {*HELP, "lookup_tables"} == set(SandboxSettings.__struct_fields__)
