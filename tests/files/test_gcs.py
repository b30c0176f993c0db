"""Google's buckets are found, listed, read and written as Amazon's are."""

import os

import pytest

from target_mixpanel.errors import InputError
from target_mixpanel.files.notes import open_notes
from target_mixpanel.files.objects import find_object, find_objects, open_object
from target_mixpanel.files.places import Place
from tests import gcs_server
from tests.buckets import GcsBucket


def names(url: str) -> list[str]:
    return [each.name for each in find_objects(url, "load")]


def test_folders_and_globs(gcs_bucket: GcsBucket):
    for key in ("data/a.csv", "data/b+ü %20&.csv", "data/sub/d.csv", "data2/z.csv"):
        gcs_bucket.put(key, b"x")
    url = gcs_bucket.url

    assert names(f"{url}data/") == ["a.csv", "b+ü %20&.csv", "d.csv"]
    assert names(f"{url}data/*.csv") == ["a.csv", "b+ü %20&.csv"]
    assert names(f"{url}data/b+ü %20&.csv") == ["b+ü %20&.csv"]


def test_long_lists(gcs_bucket: GcsBucket, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gcs_server, "PAGE", 3)
    for number in range(10):
        gcs_bucket.put(f"{number}.csv", b"x")

    assert [f"{number}.csv" for number in range(10)] == names(gcs_bucket.url)


def test_it_is_read_in_ranges(gcs_bucket: GcsBucket):
    content = os.urandom(20_000_000)
    stored = find_object(gcs_bucket.put("big", content), "load")
    with open_object(stored) as opened:
        assert content == b"".join(opened.blocks())
        assert content[19_000_000:] == b"".join(opened.blocks(19_000_000))


def test_an_object_that_changes_is_not_read_on(gcs_bucket: GcsBucket):
    stored = find_object(gcs_bucket.put("a", b"x" * 20_000_000), "load")
    with open_object(stored) as opened:
        blocks = opened.blocks()
        next(blocks)
        gcs_bucket.put("a", b"y" * 20_000_000)

        with pytest.raises(InputError, match="changed while it was read"):
            list(blocks)


def test_notes_are_kept(gcs_bucket: GcsBucket):
    stored = find_object(gcs_bucket.put("a", b"x"), "load")
    for rows in (1, 2):
        notes = open_notes(f"{gcs_bucket.url}state/")
        notes.on_safe(notes.mark(stored, Place(rows, 0)))
        notes.write()

    assert Place(2, 0) == open_notes(f"{gcs_bucket.url}state").place_of(stored)


def test_http_is_for_this_machine_alone(gcs_bucket: GcsBucket, monkeypatch: pytest.MonkeyPatch):
    url = gcs_bucket.put("a", b"x")
    monkeypatch.setenv("GOOGLE_BASE_URL", "http://storage.example")
    with pytest.raises(InputError) as error:
        find_object(url, "load")

    assert "\n" not in str(error.value)
