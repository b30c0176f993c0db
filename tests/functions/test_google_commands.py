"""What is deployed on Google Cloud: commands whose numbers fit, and a function that is there."""

import re
import runpy
import shlex
from pathlib import Path

from target_mixpanel.limits import PROJECT_EVENTS_PER_SECOND

DEPLOY = Path(__file__).parents[2] / "deploy" / "google"
(DEPLOYED,) = re.findall(
    r"^gcloud functions deploy (.*?[^\\])$",
    (DEPLOY / "README.md").read_text(),
    re.DOTALL | re.MULTILINE,
)
WORDS = shlex.split(DEPLOYED)
VARIABLES = dict(each.split("=", 1) for each in WORDS[WORDS.index("--set-env-vars") + 1].split(","))

ADVISED_CLIENTS = 20
"""At once, at most. https://developer.mixpanel.com/reference/import-events"""


def option(name: str) -> str:
    return WORDS[WORDS.index(f"--{name}") + 1]


def test_all_instances_together_are_what_a_project_takes():
    calls = int(option("max-instances")) * int(option("concurrency"))

    assert calls * int(VARIABLES["TARGET_MIXPANEL_MAX_EVENTS_PER_SECOND"]) == (
        PROJECT_EVENTS_PER_SECOND
    )
    assert calls * int(VARIABLES["TARGET_MIXPANEL_MAX_PARALLEL_REQUESTS"]) <= ADVISED_CLIENTS


def test_a_call_knows_how_long_it_may_take_and_comes_again():
    assert option("timeout") == f"{VARIABLES['CLOUD_RUN_TIMEOUT_SECONDS']}s"
    assert "--retry" in WORDS


def test_its_function_is_there():
    assert callable(runpy.run_path(str(DEPLOY / "main.py"))[option("entry-point")])


def test_rejected_rows_and_notes_go_where_nothing_is_loaded_from():
    loaded = option("trigger-bucket")
    for name in ("FILES_STATE", "DEAD_LETTER_PATH"):
        assert VARIABLES[f"TARGET_MIXPANEL_{name}"].startswith(f"gs://{loaded}-notes/")
