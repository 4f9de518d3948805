import hashlib

import pytest

from weft.host import fingerprint
from weft.host.fingerprint import Settings
from weft.host.layout import Layout

WEAK = "[db]\npassword = hunter2\n"


@pytest.fixture
def layout(tmp_path):
    layout = Layout("shop", str(tmp_path))
    layout.state.mkdir(parents=True)
    return layout


def test_settings_with_a_secret_cannot_be_guessed_from_the_record(layout):
    said = fingerprint.digest(layout, Settings(WEAK, private=True), make=True)
    assert hashlib.sha256(WEAK.encode()).hexdigest() not in said
    assert (layout.state / fingerprint.KEY).stat().st_mode & 0o777 == 0o600
    other = Layout("shop", f"{layout.prefix}/other")
    other.state.mkdir(parents=True)
    assert fingerprint.digest(other, Settings(WEAK, private=True), make=True) != said


def test_an_unchanged_secret_is_the_same_and_a_changed_one_is_not(layout):
    said = fingerprint.digest(layout, Settings(WEAK, private=True), make=True)
    assert fingerprint.digest(layout, Settings(WEAK, private=True)) == said and fingerprint.same(layout.state, said, WEAK.encode())
    assert fingerprint.digest(layout, Settings(WEAK + "# x\n", private=True)) != said and not fingerprint.same(layout.state, said, WEAK.encode() + b"x")


def test_settings_of_the_repository_alone_have_the_digest_that_they_always_had(layout):
    said = fingerprint.digest(layout, Settings(WEAK))
    assert said == hashlib.sha256(WEAK.encode()).hexdigest() and fingerprint.same(layout.state, said, WEAK.encode()) and not fingerprint.same(layout.state, said, b"")
    assert fingerprint.digest(layout, None) == "" and not (layout.state / fingerprint.KEY).exists()


def test_who_only_looks_makes_no_key(layout):
    assert fingerprint.digest(layout, Settings(WEAK, private=True)) == "keyed:" and not (layout.state / fingerprint.KEY).exists()


@pytest.mark.parametrize("lost", [None, b"", b"x" * 32], ids=["gone", "torn", "another"])
def test_of_a_lost_key_nothing_is_told_and_a_new_one_is_made(layout, lost):
    said, key = fingerprint.digest(layout, Settings(WEAK, private=True), make=True), layout.state / fingerprint.KEY
    key.unlink() if lost is None else key.write_bytes(lost)
    assert fingerprint.same(layout.state, said, b"edited")
    again = fingerprint.digest(layout, Settings(WEAK, private=True), make=True)
    assert again != said and not fingerprint.same(layout.state, again, b"edited")


def test_settings_do_not_show_themselves():
    assert "hunter2" not in repr(Settings(WEAK, private=True))
