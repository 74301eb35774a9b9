"""Which files the demo takes, and how it knows that one has changed."""

from __future__ import annotations

import hashlib
import os

import pytest

from groupqueue.cli.demo import files


def test_every_regular_file_below_a_folder_and_nothing_else(tmp_path):
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    os.mkfifo(tmp_path / "pipe")
    found = files.select(str(tmp_path))
    assert [(file.path, file.digest) for file in found.files] == [
        (str(tmp_path / "a"), hashlib.sha256(b"one").hexdigest()),
        (str(tmp_path / "sub" / "b"), hashlib.sha256(b"").hexdigest()),
    ]
    assert not found.is_bounded


def test_folders_may_be_left_out(tmp_path):
    for name in ("kept", "site-packages"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"")
    found = files.select(str(tmp_path), frozenset(("site-packages",)))
    assert [file.path for file in found.files] == [str(tmp_path / "kept" / "file")]


@pytest.mark.parametrize(("limit", "value"), [("MAX_FILES", 2), ("MAX_SECONDS", -1.0)])
def test_a_folder_that_is_too_large_is_bounded(tmp_path, monkeypatch, limit, value):
    for number in range(5):
        (tmp_path / f"{number}").write_bytes(b"")
    monkeypatch.setattr(files, limit, value)
    found = files.select(str(tmp_path))
    assert len(found.files) == max(value, 0)
    assert found.is_bounded


def test_a_file_that_was_written_or_removed_since_has_changed(tmp_path):
    for name in ("same", "written", "removed"):
        (tmp_path / name).write_bytes(b"before")
    removed, same, written = files.select(str(tmp_path)).files
    (tmp_path / "written").write_bytes(b"afterwards")
    (tmp_path / "removed").unlink()
    assert [files.has_changed(file) for file in (removed, same, written)] == [True, False, True]
