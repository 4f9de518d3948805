"""Which wheels a host accepts."""

import platform
import sys

import pytest

from weft.release import tools
from weft.release.target import Target, this_platform


def test_an_older_glibc_and_the_aliases():
    tags = Target("3.11", "manylinux_2_28_x86_64").tags()
    assert tags[0] == "manylinux_2_28_x86_64" and tags[-2:] == ["manylinux_2_5_x86_64", "manylinux1_x86_64"]
    assert {"manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux2010_x86_64"} < set(tags)
    assert "manylinux_2_29_x86_64" not in tags


def test_arm_begins_at_2_17():
    assert Target("3.11", "manylinux_2_18_aarch64").tags() == ["manylinux_2_18_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64"]


@pytest.mark.parametrize("platform, tags", [("musllinux_1_1_x86_64", ["musllinux_1_1_x86_64", "musllinux_1_0_x86_64"]),
                                            ("macosx_14_0_arm64", ["macosx_14_0_arm64"])])
def test_other_platforms(platform, tags):
    assert Target("3.11", platform).tags() == tags


def test_for_pip():
    words = Target("3.12", "manylinux_2_17_aarch64").for_pip()
    assert words == ["--only-binary", ":all:", "--python-version", "3.12", "--implementation", "cp", "--abi", "cp312", "--abi", "abi3",
                     "--abi", "none", "--platform", "manylinux_2_17_aarch64", "--platform", "manylinux2014_aarch64"]


@pytest.mark.parametrize("platform, name", [
    ("manylinux_2_36_x86_64", "x86_64-manylinux_2_36"), ("manylinux_2_29_x86_64", "x86_64-manylinux_2_28"),
    ("manylinux_2_17_aarch64", "aarch64-manylinux_2_17"), ("manylinux_2_99_x86_64", "x86_64-manylinux_2_40"),
    ("macosx_14_0_arm64", ""), ("manylinux_2_36_s390x", "")])
def test_for_uv(platform, name):
    assert Target("3.11", platform).for_uv() == name


def test_who_builds(monkeypatch):
    mine = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert Target(mine, this_platform()).builder == sys.executable and Target(mine, this_platform()).own
    other = Target(mine, "manylinux_2_17_s390x")
    assert not other.builder and not other.own
    monkeypatch.setattr(tools, "python", lambda minor: f"/usr/bin/python{minor}")
    assert Target("3.8", this_platform()).builder == "/usr/bin/python3.8" and not Target("3.8", this_platform()).own


@pytest.mark.parametrize("said", ["", ">=3.9", " >= 3.12 ", ">=3.11.0", ">=3.12.0", ">=3.9,<3.12", "~=3.9", "!=3.11.*", ">=3.11.5", "==3.11.*", ">3.11", "<4", ">=2.7", ">=3.110"])
def test_the_short_cut_says_what_the_parser_says(said):
    from packaging.specifiers import SpecifierSet
    for python in ("3.8", "3.11", "3.12"):
        target = Target(python, "manylinux_2_36_x86_64")
        assert target.fits(said) == target.allowed(SpecifierSet(said))


def test_what_is_no_specifier_shuts_nobody_out():
    assert Target("3.11", "manylinux_2_36_x86_64").fits("three")


def test_this_machine_by_another_way():
    name, number = platform.libc_ver()
    assert name == "glibc" and this_platform() == f"manylinux_{number.replace('.', '_')}_{platform.machine()}"
