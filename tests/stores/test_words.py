"""A release's plan says what this kind of store really does."""

from dataclasses import replace

import pytest

from tests.release.test_decide import FRAME, SEEN
from tests.stores import filesystems
from weft.release import decide
from weft.release.observe import Published
from weft.stores import common, open_store
from weft.stores.common import words_of

UPLOADED = "upload under a name that no reader looks for to {}, read back"


def lines(url, store):
    """What the plan says of staging and publishing."""
    plan = decide.decide(SEEN, Published(), replace(FRAME, store=url, how=words_of(store))).plan
    return [step.text for step in plan.steps if step.kind in ("stage", "publish")]


@pytest.mark.parametrize("url, stage, publish", [
    ("/srv/artifacts", "copy to a hidden directory of {}, read back", "{}/app/1.1.4, by one rename"),
    ("s3://bucket/team", UPLOADED, "{}/app/1.1.4, by one PUT of 1.1.4~release.json with If-None-Match, which never replaces"),
    ("sftp://files/srv/artifacts", UPLOADED, "{}/app/1.1.4, by one rename onto 1.1.4~release.json, which SFTP refuses where it is there"),
    ("memory://shelf", UPLOADED, "{}/app/1.1.4, by creating 1.1.4~release.json, which is never replaced")])
def test_each_kind_has_its_own(url, stage, publish, tmp_path):
    store = open_store(url, tmp_path)
    assert str(store) == url
    assert lines(url, store) == [stage.format(url), publish.format(url)]


def test_another_filesystem(tmp_path):
    with filesystems.registered(filesystems.Linking):
        url = f"linking://{tmp_path}/store"
        assert lines(url, open_store(url, None)) == [UPLOADED.format(url), f"{url}/app/1.1.4, by creating 1.1.4~release.json, which is never replaced"]


class Shelf:
    """Somebody's store that says nothing of itself."""


class Told(Shelf):
    words = common.Words("put {everything} on", "a bell for {version} at {noon}")


def test_somebody_s_store_may_say_nothing_or_its_own():
    assert lines("shelf://a", Shelf()) == ["bring the files, where no reader finds them yet, to shelf://a, read back",
                                           "shelf://a/app/1.1.4, by one act that never replaces"]
    assert lines("shelf://a", Told()) == ["put {everything} on shelf://a, read back", "shelf://a/app/1.1.4, by a bell for 1.1.4 at {noon}"]
