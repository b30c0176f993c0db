"""Which taps are tried, in which version, and where are they?"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from taps.places import HERE, HOME, install_once, run


@dataclass(frozen=True)
class Tap:
    """A tap in an environment of its own, since what one tap needs breaks the next."""

    package: str
    executable: str
    is_older: bool = False
    """Its metadata asks for an older Python, though it runs on this one."""

    @property
    def command(self) -> Path:
        """What a user runs."""
        return self._home / "bin" / self.executable

    @property
    def python(self) -> Path:
        """The interpreter that can import it."""
        return self._home / "bin" / "python"

    def install(self) -> None:
        """
        Install it with its pins, unless it is.

        Raises:
            SetUpError: A package could not be installed.
        """
        install_once(self._home, self._pins.read_text(), self._install)

    def _install(self, folder: Path) -> None:
        run([sys.executable, "-m", "venv", folder])
        pip: list[str | Path] = [self.python, "-m", "pip", "--disable-pip-version-check", "install"]
        pins: list[str | Path] = ["--constraint", self._pins]
        older = ["--ignore-requires-python"] if self.is_older else []
        run([*pip, *pins, *older, self.package])

    @property
    def version(self) -> str:
        """The pinned version."""
        pins = self._pins.read_text().splitlines()
        return next(pin for pin in pins if pin.startswith(f"{self.package}==")).partition("==")[2]

    @property
    def _home(self) -> Path:
        return HOME / "venvs" / self.package

    @property
    def _pins(self) -> Path:
        return HERE / "constraints" / f"{self.package}.txt"


MELTANOLABS_POSTGRES: Final = Tap("meltanolabs-tap-postgres", "tap-postgres")
PIPELINEWISE_POSTGRES: Final = Tap("pipelinewise-tap-postgres", "tap-postgres", is_older=True)
PIPELINEWISE_MYSQL: Final = Tap("pipelinewise-tap-mysql", "tap-mysql")
CSV_FOLDER: Final = Tap("tap-csv-folder", "tap-csv-folder")
MIXPANEL: Final = Tap("tap-mixpanel", "tap-mixpanel")

ALL: Final = (
    MELTANOLABS_POSTGRES,
    PIPELINEWISE_POSTGRES,
    PIPELINEWISE_MYSQL,
    CSV_FOLDER,
    MIXPANEL,
)
