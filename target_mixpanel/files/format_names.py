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
    name = uncompressed_name(name)
    return next((known for ending, known in _ENDINGS.items() if name.endswith(ending)), None)


def is_singer(name: str) -> bool:
    """Say whether *name* is one of Singer messages, as dead letters are."""
    return uncompressed_name(name).endswith(".singer")


def uncompressed_name(name: str) -> str:
    """Return *name* in small letters, less the ending that says how it is compressed."""
    name = name.lower()
    for compression in _COMPRESSIONS:
        name = name.removesuffix(compression)
    return name
