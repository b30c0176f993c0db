"""Where do the figures go, and what is said of the machine that they are from?"""

import json
import os
import platform
from importlib.metadata import version
from typing import Any

from paths import DOCS, HOME


def publish(found: dict[str, Any], *, rounds: int, is_quick: bool) -> None:
    """Add *found* to what is known; a quick look is kept apart."""
    path = (HOME if is_quick else DOCS) / "bench.json"
    path.parent.mkdir(exist_ok=True)
    known = json.loads(path.read_text()) if path.exists() else {}
    whole = known | {"machine": machine(), "runs": rounds}
    for name, figures in found.items():
        # A comparison of another size, or another table of the same kind, stands beside this one.
        is_part = isinstance(figures, dict) and isinstance(known.get(name), dict)
        whole[name] = known[name] | figures if is_part else figures
    path.write_text(json.dumps(whole, indent=2, ensure_ascii=False, sort_keys=True) + "\n")
    print(f"\nwritten: {path.name}")


def machine() -> dict[str, Any]:
    """Return what matters of this machine and its packages."""
    packages = ("singer-sdk", "msgspec", "isal", "jsonschema-rs")
    return {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }
