"""Which settings does meltano.yml list? Those of `settings/fields.py`, as `--about` types them."""

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from target_mixpanel.settings.fields import SETTINGS
from target_mixpanel.settings.setting import Setting

MELTANO_YML: Final = Path(__file__).parent.with_name("meltano.yml")
COMMAND: Final = Path(sys.executable).with_name("target-mixpanel")
MARKS: Final = re.compile(r"(?<=compared by a test\n).*?(?= *# end of settings\n)", re.DOTALL)
COLUMNS: Final = 98


def settings_list() -> str:
    """Return the list of settings as meltano.yml has it."""
    done = subprocess.run([COMMAND, "--about", "--format=json"], capture_output=True, check=True)
    published = json.loads(done.stdout)["settings"]["properties"]
    entries = (_entry(setting, published[setting.name]) for setting in SETTINGS)
    return textwrap.indent("\n".join(line for entry in entries for line in entry) + "\n", " " * 4)


def _entry(setting: Setting, schema: dict[str, Any]) -> Iterator[str]:
    about = setting.about
    yield f"- name: {setting.name}"
    yield f"  kind: {_kind(schema)}"
    if about.is_secret:
        yield "  sensitive: true"
    yield f"  {_yaml({'label': about.title})}"
    yield from _described(about.description)
    if "default" in schema:
        yield f"  {_yaml({'value': schema['default']})}"
    options = about.options or {value: value.capitalize() for value in setting.choices}
    if options:
        yield "  options:"
    for value, label in options.items():
        yield f"  - {_yaml({'label': label, 'value': value}, is_flow=True)}"


def _kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return "options"
    kind = str(schema["type"][0])
    # Of what the environment holds, Meltano takes "0.2" for no integer, and cannot write the
    # Decimal that it makes of a decimal; a text it leaves to us.
    return "string" if kind == "number" else kind


def _described(description: str) -> Iterator[str]:
    plain = f"description: {description}"
    if plain == _yaml({"description": description}) and len(plain) <= COLUMNS - 6:
        yield f"  {plain}"
        return
    yield "  description: >-"
    for line in textwrap.wrap(description, COLUMNS - 8, break_on_hyphens=False):
        yield f"    {line}"


def _yaml(content: dict[str, Any], *, is_flow: bool = False) -> str:
    style: dict[str, Any] = {"default_flow_style": is_flow, "sort_keys": False}
    return yaml.safe_dump(content, **style, allow_unicode=True, width=1_000).strip()


def main() -> None:
    """Print the list, or write it into meltano.yml."""
    made = settings_list()
    if sys.argv[1:] == ["--print"]:
        sys.stdout.write(made)
        return
    MELTANO_YML.write_text(MARKS.sub(lambda _: made, MELTANO_YML.read_text()))


if __name__ == "__main__":
    main()
