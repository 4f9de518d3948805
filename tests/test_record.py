"""A record is what a dataclass of the same words is, to whoever uses it or asks about it."""

import copy
import dataclasses
import pickle

import pytest

from weft import record as ours


def pair(frozen):
    """The same class by both: (by dataclasses, by weft)."""
    made = []
    for dataclass, field in ((dataclasses.dataclass, dataclasses.field), (ours.record, ours.field)):
        @dataclass(frozen=frozen)
        class Thing:
            name: str
            size: int = 3
            tags: dict = field(default_factory=dict, hash=False)
            text: str = field(default_factory=str, repr=False)
            inner: object = None

            def __post_init__(self):
                if self.size < 0:
                    raise ValueError("negative")

            @property
            def twice(self):
                return self.size * 2
        made.append(Thing)
    return made


@pytest.mark.parametrize("said", [(("a",), {}), ((), {"name": "a", "size": 5}), (("a", 1), {"tags": {"x": 1}, "text": "hidden"})])
@pytest.mark.parametrize("frozen", [True, False])
def test_a_record_is_like_the_dataclass_of_the_same_words(said, frozen):
    theirs, mine = (kind(*said[0], **said[1]) for kind in pair(frozen))
    assert mine.__dict__ == theirs.__dict__ and mine.twice == theirs.twice
    assert repr(mine) == repr(theirs) and "hidden" not in repr(mine)
    assert mine == copy.copy(mine) and mine != theirs and mine != ours.replace(mine, size=77) and mine.__match_args__ == theirs.__match_args__
    assert ours.asdict(mine) == dataclasses.asdict(mine) == dataclasses.asdict(theirs)
    assert [(each.name, each.default, each.repr, each.hash) for each in dataclasses.fields(mine)] == [(each.name, each.default, each.repr, each.hash) for each in dataclasses.fields(theirs)]
    assert dataclasses.replace(mine, size=9) == ours.replace(mine, size=9) and dataclasses.replace(mine, size=9).size == 9
    if frozen:
        assert hash(mine) == hash(theirs)
    else:
        with pytest.raises(TypeError):
            hash(mine)


@pytest.mark.parametrize("args, said", [((), {}), (("a", 1, {}, "", None, 6), {}), (("a",), {"name": "b"}), (("a",), {"other": 1})])
def test_what_a_dataclass_does_not_take_a_record_does_not_take(args, said):
    for kind in pair(True):
        with pytest.raises(TypeError):
            kind(*args, **said)
    with pytest.raises(TypeError):
        ours.replace(pair(True)[1]("a"), other=1)


def test_a_frozen_record_does_not_change_and_another_one_does():
    for kind in pair(True):
        with pytest.raises(AttributeError):
            kind("a").size = 4
        with pytest.raises(AttributeError):
            del kind("a").size
        with pytest.raises(ValueError):
            kind("a", -1)
    for kind in pair(False):
        made = kind("a")
        made.size = 4
        assert made.size == 4


def test_what_is_made_for_each_is_each_ones_own_and_a_default_is_the_classs():
    for kind in pair(False):
        one, other = kind("a"), kind("b")
        one.tags["x"] = 1
        assert other.tags == {} and kind.size == 3 and not hasattr(kind, "tags")


def test_records_in_records_are_taken_along():
    for kind in pair(True):
        assert dataclasses.asdict(kind("a", inner=[kind("b")])) == dataclasses.asdict(pair(True)[0]("a", inner=[pair(True)[0]("b")]))
    mine = pair(True)[1]
    assert ours.asdict(mine("a", inner=({"k": mine("b")},)))["inner"][0]["k"]["name"] == "b"


@ours.record(frozen=True)
class Plain:
    name: str = "x"


@ours.record
class Own:
    """Says itself what it is equal to."""

    name: str = "x"

    def __eq__(self, other):
        return True


def test_methods_of_its_own_stay_and_it_travels_between_processes():
    assert Own("a") == Own("b") and pickle.loads(pickle.dumps(Plain("a"))) == Plain("a") and copy.deepcopy(Plain("a")) == Plain("a")
