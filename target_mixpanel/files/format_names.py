"""Which formats are there, and which of them does a name say?"""

from typing import Final, Literal, TypeAlias, get_args

Format: TypeAlias = Literal["jsonl", "csv", "tsv", "parquet"]

FORMATS: Final[tuple[Format, ...]] = get_args(Format)

_COMPRESSIONS: Final = (".gz", ".gzip", ".zst", ".zstd")

_ENDINGS: Final[dict[str, Format]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
}


def format_of(name: str) -> Format | None:
    """Return the format that *name* says, whatever it is compressed by; None: it says none."""
    name = name.lower()
    for compression in _COMPRESSIONS:
        name = name.removesuffix(compression)
    return next((known for ending, known in _ENDINGS.items() if name.endswith(ending)), None)
