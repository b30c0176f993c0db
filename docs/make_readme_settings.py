"""Which settings does the README list? Those that `target-mixpanel --about` publishes."""

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parent.with_name("README.md")
COMMAND = Path(sys.executable).with_name("target-mixpanel")
MARKS = re.compile(r"(?<=compared by a test -->\n).*?(?=<!-- end of settings -->)", re.DOTALL)


def settings_table() -> str:
    """Return the table of settings as the command prints it."""
    about = subprocess.run(
        [COMMAND, "--about", "--format=markdown"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rows = [line for line in about.splitlines() if line.startswith("|")]
    return "\n".join(row.replace("TargetLoadMethods.APPEND_ONLY", "append-only") for row in rows)


def main() -> None:
    """Print the table, or write it into the README."""
    table = settings_table()
    if sys.argv[1:] == ["--print"]:
        sys.stdout.write(f"{table}\n")
        return
    README.write_text(MARKS.sub(lambda _: f"\n{table}\n\n", README.read_text()))


if __name__ == "__main__":
    main()
