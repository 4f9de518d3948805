"""The Python and platform that wheels are for."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from typing import Any, Sequence


_ALIASES = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_UV_KNOWS = (17, 28, *range(31, 41))


@dataclass(frozen=True)
class Target:
    """python: minor version such as "3.11".  platform: pip's tag, such as manylinux_2_36_x86_64."""

    python: str
    platform: str

    def __str__(self) -> str:
        return f"Python {self.python} on {self.platform}"

    @property
    def builder(self) -> str:
        """An interpreter on this machine that is the target, so that what has no wheel can be built with it; "" without one."""
        from weft.release import tools
        return tools.python(self.python) if self.platform == this_platform() else ""

    @property
    def own(self) -> bool:
        """Whether that interpreter is the one that runs weft."""
        return self.builder == sys.executable

    @property
    def environment(self) -> dict[str, str]:
        """What markers are evaluated with, of what is known of the target."""
        said = {"python_version": self.python, "python_full_version": f"{self.python}.0", "extra": ""}
        match = re.fullmatch(r"(?:many|musl)linux_\d+_\d+_(\w+)", self.platform)
        system = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": match[1]} if match else {}
        return {**said, **system, "implementation_name": "cpython", "platform_python_implementation": "CPython"}

    def takes(self, wheel: str) -> bool:
        """Whether the target installs a wheel of that file name; one that was built on such a machine, too."""
        from packaging import tags
        version, machine = tuple(map(int, self.python.split("."))), re.sub(r"^(?:many|musl)linux_\d+_\d+_", "linux_", self.platform)
        platforms = [*self.tags(), *([machine] if machine != self.platform else [])]
        known = {*tags.cpython_tags(version, platforms=platforms),
                 *tags.compatible_tags(version, f"cp{self.python.replace('.', '')}", platforms)}
        return not known.isdisjoint(tags.parse_tag("-".join(wheel.removesuffix(".whl").split("-")[-3:])))

    def fits(self, requires_python: str) -> bool:
        """Whether Requires-Python has room for it; what cannot be read is taken for yes. The usual form is answered without a parser's import."""
        usual = re.fullmatch(r">=\s*3\.(\d+)(?:\.0)?|", requires_python.strip())
        if usual:
            return int(self.python[2:]) >= int(usual[1] or 0)
        from packaging.specifiers import InvalidSpecifier, SpecifierSet
        try:
            return self.allowed(SpecifierSet(requires_python))
        except InvalidSpecifier:
            return True

    def allowed(self, pythons: Any) -> bool:
        """Whether a specifier set of Requires-Python has room for some release of that minor version."""
        return any(pythons.contains(f"{self.python}.{micro}", prereleases=True) for micro in range(100))

    def tags(self) -> list[str]:
        """The platform tags that the target accepts, best first: an older glibc's wheels, and the aliases of some."""
        match = re.fullmatch(r"(many|musl)linux_(\d+)_(\d+)_(\w+)", self.platform)
        if not match:
            return [self.platform]
        family, major, newest, machine = match[1], match[2], int(match[3]), match[4]
        oldest = 0 if family == "musl" else 5 if machine in ("x86_64", "i686") else 17
        tags = []
        for minor in range(newest, oldest - 1, -1):
            tags.append(f"{family}linux_{major}_{minor}_{machine}")
            if family == "many" and minor in _ALIASES:
                tags.append(f"{_ALIASES[minor]}_{machine}")
        return tags

    def for_pip(self) -> list[str]:
        """pip's options that choose wheels of this target."""
        abi = "cp" + self.python.replace(".", "")
        platforms = [word for tag in self.tags() for word in ("--platform", tag)]
        return ["--only-binary", ":all:", "--python-version", self.python, "--implementation", "cp",
                "--abi", abi, "--abi", "abi3", "--abi", "none", *platforms]

    def for_uv(self) -> str:
        """uv's name of the platform; "" when it has none."""
        match = re.fullmatch(r"manylinux_2_(\d+)_(x86_64|aarch64)", self.platform)
        known = [minor for minor in _UV_KNOWS if match and minor <= int(match[1])]
        return f"{match[2]}-manylinux_2_{known[-1]}" if known else ""


def targets(config: Any) -> tuple[Target, ...]:
    """What the configuration says the hosts are, oldest Python first. Raises UsageError."""
    for each in config["python"]:
        if not re.fullmatch(r"3\.(?:0|[1-9][0-9]?)", each, re.ASCII):
            raise config.wrong("python", f"{each!r} is not a minor version of Python", 'python = "3.11", or ["3.11", "3.12"]')
    if len(set(config["python"])) != len(config["python"]):
        raise config.wrong("python", f"names {', '.join(each for each in dict.fromkeys(config['python']) if config['python'].count(each) > 1)} twice")
    pythons = sorted(config["python"], key=lambda each: int(each[2:]))
    return tuple(Target(each, config["platform"] or this_platform()) for each in pythons)


def shown(several: Sequence[Target]) -> str:
    """Such as "Python 3.11 and 3.12 on manylinux_2_36_x86_64"."""
    return f"Python {listed([each.python for each in several])} on {several[0].platform}"


def listed(words: Sequence[str]) -> str:
    """Such as "a, b and c"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def this_platform() -> str:
    """This machine's platform tag."""
    name, _, number = _libc().partition(" ")
    if sys.platform == "linux" and name == "glibc":
        return f"manylinux_{number.replace('.', '_')}_{os.uname().machine}"
    import sysconfig
    return re.sub(r"[-.]", "_", sysconfig.get_platform())


def _libc() -> str:
    """Such as "glibc 2.36"; "" where the C library does not say."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, OSError, ValueError):
        return ""
