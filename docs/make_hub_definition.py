"""What does Meltano Hub want to know of this loader? What meltano.yml says, in the Hub's form."""

import argparse
import sys
from pathlib import Path
from typing import Any, Final

import yaml

REPO: Final = Path(__file__).parents[1]
DEFINITION: Final = REPO / "docs" / "hub" / "target-mixpanel.yml"

HEADER: Final = """\
# For meltano/hub, as _data/meltano/loaders/target-mixpanel/<variant>.yml. Made by `make docs`,
# compared by a test. `repo`, `pip_url` and `variant` say where the loader is published, so
#     .venv/bin/python docs/make_hub_definition.py --repo https://github.com/<owner>/target-mixpanel
# prints it with them. The Hub's tool takes every text setting with id, key, token, secret or
# password in its name for a password: project_id is none, and must stay as it stands here.
"""

ABOUT: Final = {
    "description": "Product analytics: events, user and group profiles, lookup tables",
    "definition": (
        "loads [Mixpanel](https://mixpanel.com) with events, user and group profiles and lookup "
        "tables from any tap"
    ),
    "domain_url": "https://mixpanel.com",
    "keywords": ["meltano_sdk"],
    "logo_url": "/assets/logos/loaders/mixpanel.png",
    "maintenance_status": "beta",
    "quality": "unknown",
    "supported_python_versions": ["3.11", "3.12", "3.13"],
    "prereq": (
        "A Mixpanel project. Events need its project token or a service account, user and group "
        "profiles the project token, lookup tables a service account that is Owner or Admin."
    ),
    "settings_preamble": (
        "`region` must be the project's data residency: Mixpanel drops data sent to another one."
    ),
    "next_steps": (
        "Say in `streams` what the tap's streams become, and try it with `dry_run: true`:\n\n"
        "```yaml\n"
        "config:\n"
        "  region: eu\n"
        "  streams:\n"
        "    public-orders:\n"
        "      event: Order Placed\n"
        "      time: created_at\n"
        "      distinct_id: user_id\n"
        '      properties: "*"\n'
        "    public-users:\n"
        "      type: users\n"
        "      distinct_id: id\n"
        "      properties: {$name: full_name, $email: email, Plan: plan}\n"
        "```\n"
    ),
    "usage": (
        "- In `meltano.yml` a key cannot carry a dot, and `$NAME` in capitals is a variable: write "
        "`streams` as a list of entries where a name has a dot, and `\\$NAME` where a dollar sign "
        "is meant.\n"
        "- A stream that fills a lookup table must be replicated with `FULL_TABLE`: Mixpanel "
        "replaces the table as a whole.\n"
    ),
}


def definition() -> dict[str, Any]:
    """Return the definition, less what depends on where the loader is published."""
    project = yaml.safe_load((REPO / "meltano.yml").read_text())
    (loader,) = project["plugins"]["loaders"]
    kept = ("name", "namespace", "label", "executable", "settings_group_validation")
    settings = [_in_the_hubs_words(setting) for setting in loader["settings"]]
    return {
        **{key: loader[key] for key in kept},
        **ABOUT,
        "capabilities": sorted(loader["capabilities"]),
        "settings": sorted(settings, key=lambda setting: str(setting["name"])),
    }


def _in_the_hubs_words(setting: dict[str, Any]) -> dict[str, Any]:
    return {**setting, "kind": "password"} if setting.get("sensitive") else setting


def as_yaml(content: dict[str, Any]) -> str:
    """Return *content* with its keys in order, as the Hub keeps them."""
    return yaml.dump(content, Dumper=_Dumper, allow_unicode=True, sort_keys=True)


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as these lines."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", text, "|" if "\n" in text else None)


_Dumper.add_representer(str, _Dumper.represent_text)


def main() -> None:
    """Write the definition; or print it whole, with the place where the loader is published."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repo", metavar="URL", help="print it for this repository instead")
    url = parser.parse_args().repo
    if url is None:
        DEFINITION.parent.mkdir(exist_ok=True)
        DEFINITION.write_text(HEADER + as_yaml(definition()))
        return
    url = url.rstrip("/").removesuffix(".git")
    place = {"repo": url, "pip_url": f"git+{url}.git", "variant": url.split("/")[-2].lower()}
    sys.stdout.write(as_yaml({**definition(), **place}))


if __name__ == "__main__":
    main()
