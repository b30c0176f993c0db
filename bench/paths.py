"""Where does the benchmark keep what it makes?"""

from pathlib import Path
from typing import Final

BENCH: Final = Path(__file__).resolve().parent
REPO: Final = BENCH.parent
DOCS: Final = REPO / "docs"
"""What is published: `bench.json` and the charts."""
HOME: Final = REPO / ".bench"
"""Everything else: records, logs, what was installed. Ignored by git, and safe to delete."""
