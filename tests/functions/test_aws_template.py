"""What is deployed on AWS: a template that is right, whose numbers fit, and that may do little."""

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from target_mixpanel.limits import PROJECT_EVENTS_PER_SECOND
from target_mixpanel.platforms.call_settings import function_settings

DEPLOY = Path(__file__).parents[2] / "deploy"
TEMPLATE = DEPLOY / "aws" / "template.yaml"

ADVISED_CLIENTS = 20
"""At once, at most. https://developer.mixpanel.com/reference/import-events"""


class _Loader(yaml.SafeLoader):
    """Reads !Ref and its like as what they refer to."""


_Loader.add_multi_constructor("!", lambda loader, _, node: loader.construct_scalar(node))

RESOURCES: dict[str, Any] = yaml.load(TEMPLATE.read_text(), _Loader)["Resources"]  # noqa: S506
FUNCTION = RESOURCES["Loader"]["Properties"]
VARIABLES = FUNCTION["Environment"]["Variables"]


def listed(one_or_more: str | list[str]) -> list[str]:
    return [one_or_more] if isinstance(one_or_more, str) else one_or_more


def test_cfn_lint_has_nothing_to_say():
    command = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run(
        [command, TEMPLATE],
        env={"AWS_DEFAULT_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_all_calls_together_are_what_a_project_takes():
    """And as many are let in as are reserved: none is turned away."""
    calls = FUNCTION["ReservedConcurrentExecutions"]
    source = FUNCTION["Events"]["Created"]["Properties"]

    assert source["ScalingConfig"]["MaximumConcurrency"] == calls
    assert calls * int(VARIABLES["TARGET_MIXPANEL_MAX_EVENTS_PER_SECOND"]) == (
        PROJECT_EVENTS_PER_SECOND
    )
    assert calls * int(VARIABLES["TARGET_MIXPANEL_MAX_PARALLEL_REQUESTS"]) <= ADVISED_CLIENTS


def test_a_message_fails_alone_and_comes_again():
    queue = RESOURCES["Queue"]["Properties"]
    source = FUNCTION["Events"]["Created"]["Properties"]

    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert queue["VisibilityTimeout"] >= 6 * FUNCTION["Timeout"]
    assert queue["RedrivePolicy"]["maxReceiveCount"] > 1


def test_it_may_read_what_it_loads_and_write_its_notes():
    """No right to all of anything, none to delete."""
    (policy,) = FUNCTION["Policies"]
    rights = [
        (action, place)
        for statement in policy["Statement"]
        for action in listed(statement["Action"])
        for place in listed(statement["Resource"])
    ]

    assert rights == [
        ("s3:GetObject", "arn:${AWS::Partition}:s3:::${Bucket}/${Prefix}*"),
        ("s3:GetObject", "arn:${AWS::Partition}:s3:::${State}/state/*"),
        ("s3:PutObject", "arn:${AWS::Partition}:s3:::${State}/state/*"),
        ("s3:PutObject", "arn:${AWS::Partition}:s3:::${State}/rejected/*"),
        ("s3:ListBucket", "arn:${AWS::Partition}:s3:::${Bucket}"),
        ("s3:ListBucket", "arn:${AWS::Partition}:s3:::${State}"),
    ]
    assert {"State"} == {
        name for name, each in RESOURCES.items() if each["Type"] == "AWS::S3::Bucket"
    }


def test_its_handler_is_there():
    module, _, name = FUNCTION["Handler"].rpartition(".")

    assert callable(getattr(importlib.import_module(module), name))


def test_its_settings_are_good(monkeypatch: pytest.MonkeyPatch):
    """Those of the template over those of the file that lies beside the code."""
    monkeypatch.setenv("TARGET_MIXPANEL_REGION", "us")
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    for name in ("FILES_STATE", "DEAD_LETTER_PATH"):
        url = VARIABLES[f"TARGET_MIXPANEL_{name}"].replace("${State}", "notes")
        monkeypatch.setenv(f"TARGET_MIXPANEL_{name}", url)
    monkeypatch.chdir(DEPLOY)
    settings = function_settings()

    assert settings.max_parallel_requests == 4
    assert settings.files_state == "s3://notes/state"
    assert settings.dead_letter_path == "s3://notes/rejected"
    assert [each.stream for each in settings.file_streams] == ["orders", "orders"]
