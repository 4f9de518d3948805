"""Scratch directories, their notes and what is swept."""

from dataclasses import replace

from weft.release import scratch
from weft.stores.directory import DirectoryStore

NOTE = scratch.Note("1.1.4", "a" * 40, "1.1.4", "b" * 40, "main", "c" * 40)


def test_a_note_is_found_again(tmp_path):
    path = scratch.create(tmp_path)
    assert scratch.notes(tmp_path) == {}
    scratch.save(path, NOTE)
    assert scratch.notes(tmp_path) == {path: NOTE}


def test_a_broken_note_is_no_note(tmp_path):
    for text in ("{", "{}", '{"version": 1, "more": 2}', "[]"):
        (scratch.create(tmp_path) / "note.json").write_text(text)
    assert scratch.notes(tmp_path) == {}


def test_sweep_takes_the_staging_directory_along_and_keeps_what_is_kept(tmp_path):
    store = DirectoryStore(tmp_path / "artifacts")
    staged = store.staging("app", "1.1.4")
    staged.mkdir(parents=True)
    kept, gone = scratch.create(tmp_path), scratch.create(tmp_path)
    scratch.save(gone, replace(NOTE, staged=str(staged)))
    scratch.sweep(tmp_path, store, {kept, None})
    assert kept.is_dir() and not gone.exists() and not staged.exists()


def test_a_note_that_names_another_place_removes_nothing_there(tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    path = scratch.create(tmp_path)
    scratch.save(path, replace(NOTE, staged=str(precious)))
    scratch.sweep(tmp_path, DirectoryStore(tmp_path / "artifacts"))
    assert precious.is_dir() and not path.exists()
