"""How is mixpanel-import, the command for Node.js, brought to the local server?"""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from data import Shape
from paths import BENCH, HOME

VERSION: Final = "3.1.43"
OLDEST_NODE: Final = 20

_FOLDER: Final = HOME / "npm"
_TOOL: Final = _FOLDER / "node_modules" / "mixpanel-import" / "index.js"
_INSTALLED: Final = _FOLDER / f"installed-{VERSION}"


def command(_: str, shape: Shape) -> list[str | Path]:
    """Return the command as its README has it; batches and connections are its own defaults."""
    node = ["node", "--require", BENCH / "contestants" / "other_host.cjs", _TOOL, shape.rows]
    # --fix makes events of flat rows, --clean leaves out nulls, and all the others compress, too.
    asked = ["--token", "not-a-token", "--fix", "--clean", "--compress", "--no-logs"]
    # By default it reads files in pieces of 100 bytes, which takes more time than all the rest.
    return [*node, *asked, "--highWater", "65536"]


def environment(url: str) -> Mapping[str, str]:
    """Return what `other_host.cjs` wants to know."""
    return {"MIXPANEL_IMPORT_HOST": url}


def says_version() -> list[str | Path]:
    """Return the command that only starts and ends."""
    return ["node", _TOOL, "--version"]


def missing() -> str | None:
    """Install it unless it is there; return what keeps it from running here."""
    if _INSTALLED.exists():
        return None
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "Node.js is not installed"
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    if int(version.stdout.strip().removeprefix("v").split(".")[0]) < OLDEST_NODE:
        return f"it needs Node.js {OLDEST_NODE} or newer"
    print(f"installing mixpanel-import {VERSION} …", flush=True)
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _FOLDER.mkdir(parents=True)
    install = ["npm", "install", "--prefix", _FOLDER, "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(
        [*install, f"mixpanel-import@{VERSION}"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return "npm could not install it"
    _INSTALLED.touch()
    return None
