"""What is behind a path or a URL is found, read as it was found, or named in one line."""

import os
from pathlib import Path

import pytest

from target_mixpanel.errors import InputError
from target_mixpanel.files.objects import below, find_object, find_objects, open_object
from tests.buckets import Bucket


def names(url: str) -> list[str]:
    return [each.name for each in find_objects(url, "load")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "a.csv",
        "b.csv",
        "c.jsonl",
        "sub/d.csv",
        "_SUCCESS",
        "sub/.e.csv.crc",
        "_x/f.csv",
    ):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    return tmp_path / "data"


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("", ["a.csv", "b.csv", "c.jsonl", "d.csv"]),
        ("/*.csv", ["a.csv", "b.csv"]),
        ("/**/*.csv", ["a.csv", "b.csv", "d.csv"]),
        ("/[ab].csv", ["a.csv", "b.csv"]),
        ("/[!a].csv", ["b.csv"]),
        ("/?.jsonl", ["c.jsonl"]),
        ("/sub", ["d.csv"]),
        ("/a.csv", ["a.csv"]),
    ],
)
def test_folders_and_globs(folder: Path, glob: str, expected: list[str]):
    assert expected == names(f"{folder}{glob}")
    assert expected == names(f"file://{folder}{glob}")


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("data/", ["a.csv", "b+ü %20.csv", "d.csv"]),
        ("data", ["a.csv", "b+ü %20.csv", "d.csv"]),
        ("data/*.csv", ["a.csv", "b+ü %20.csv"]),
        ("data/**/*.csv", ["a.csv", "b+ü %20.csv", "d.csv"]),
        ("data/b+ü %20.csv", ["b+ü %20.csv"]),
        ("", ["a.csv", "b+ü %20.csv", "d.csv", "z.csv"]),
    ],
)
def test_buckets(bucket: Bucket, glob: str, expected: list[str]):
    for key in ("data/a.csv", "data/b+ü %20.csv", "data/sub/d.csv", "data/_SUCCESS", "data2/z.csv"):
        bucket.put(key, b"x")

    assert expected == names(f"{bucket.url}{glob}")


def test_a_bucket_is_read_in_ranges(bucket: Bucket):
    content = os.urandom(20_000_000)
    stored = find_object(bucket.put("big", content), "load")
    with open_object(stored) as opened:
        blocks = list(opened.blocks())
        rest = b"".join(opened.blocks(19_000_000))

    assert (content, content[19_000_000:]) == (b"".join(blocks), rest)
    assert max(map(len, blocks)) <= 1_048_576


@pytest.mark.parametrize("url", ["nothing", "s3", "folder", "fifo", "/dev/zero", "http://x/y"])
def test_what_cannot_be_read_is_named_in_one_line(bucket: Bucket, tmp_path: Path, url: str):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    url = f"{bucket.url}nothing" if url == "s3" else url
    given = url if "/" in url else str(tmp_path / url)

    with pytest.raises(InputError) as error:
        find_objects(given, "load")
    assert "\n" not in str(error.value)


def test_a_missing_bucket_is_named_in_one_line(bucket: Bucket):
    with pytest.raises(InputError) as error:
        find_objects("s3://no-such-bucket/x/", "load")
    assert "s3://no-such-bucket/x/: " in str(error.value)
    assert "\n" not in str(error.value)
    assert "<" not in str(error.value)


@pytest.mark.parametrize("is_folder", [False, True], ids=["file", "folder"])
def test_a_link_that_came_since_is_not_followed(tmp_path: Path, is_folder: bool):
    """The same name, size and time: it would pass for what was found."""
    for name in ("inside", "outside"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text(name[:2] * 4)
        os.utime(tmp_path / name / "a", ns=(0, 0))
    path = tmp_path / "inside" / "a"
    stored = find_object(below(str(path), [str(tmp_path / "inside")], "manifest"), "manifest")
    with open_object(stored, follows_links=False) as opened:
        assert opened.read_at(0, 100) == b"inininin"
    if is_folder:
        (tmp_path / "inside").rename(tmp_path / "before")
        (tmp_path / "inside").symlink_to(tmp_path / "outside")
    else:
        path.unlink()
        path.symlink_to(tmp_path / "outside" / "a")

    with open_object(stored) as opened:
        assert opened.read_at(0, 100) == b"ouououou"
    with pytest.raises(InputError, match="cannot be read"):
        open_object(stored, follows_links=False)


def test_a_file_that_changes_is_not_read_on(tmp_path: Path):
    path = tmp_path / "a"
    path.write_bytes(b"x" * 3_000_000)
    with open_object(find_object(str(path), "load")) as opened:
        blocks = opened.blocks()
        next(blocks)
        with path.open("ab") as file:
            file.write(b"more")

        with pytest.raises(InputError, match="changed while it was read"):
            next(blocks)


def test_an_object_that_changes_is_not_read_on(bucket: Bucket):
    stored = find_object(bucket.put("a", b"x" * 20_000_000), "load")
    with open_object(stored) as opened:
        blocks = opened.blocks()
        next(blocks)
        bucket.put("a", b"y" * 20_000_000)

        with pytest.raises(InputError, match="changed while it was read"):
            list(blocks)


def test_below_its_roots(tmp_path: Path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").touch()
    (tmp_path / "out").touch()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "out")
    (tmp_path / "in" / "good").symlink_to(tmp_path / "in" / "a")
    roots = [f"file://{tmp_path}/in/", "s3://shop/x"]

    def real(url: str) -> str | None:
        return below(url, roots, "BATCH")

    assert real(f"{tmp_path}/in/a") == real(f"file://{tmp_path}/in/good") == f"{tmp_path}/in/a"
    assert real("s3://shop/x/a") == "s3://shop/x/a"
    for url in (
        f"{tmp_path}/in/link",
        f"{tmp_path}/in/../out",
        f"{tmp_path}/in",
        f"{tmp_path}/inner",
        "s3://shop/xy",
        "s3://shop/x/../y",
        "s3://shop/x//y",
        "s3://other/x/a",
        "gs://shop/x/a",
        "/proc/self/environ",
    ):
        assert real(url) is None, url
    for url in ("file://host/x", "http://x/y", "memory://x", "zip::s3://shop/x/a"):
        with pytest.raises(InputError):
            real(url)
