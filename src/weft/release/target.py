"""The Python and platform that wheels are for."""

from __future__ import annotations

import platform
import re
import sys
from dataclasses import dataclass
from typing import Any

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
    def here(self) -> bool:
        """Whether this interpreter on this machine is the target, so that what has no wheel can be built here."""
        return self.python == f"{sys.version_info[0]}.{sys.version_info[1]}" and self.platform == this_platform()

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


def wanted(config: Any) -> Target:
    """What the configuration says the hosts are."""
    return Target(config["python"], config["platform"] or this_platform())


def this_platform() -> str:
    """This machine's platform tag."""
    name, number = platform.libc_ver()
    if sys.platform == "linux" and name == "glibc":
        return f"manylinux_{number.replace('.', '_')}_{platform.machine()}"
    import sysconfig
    return re.sub(r"[-.]", "_", sysconfig.get_platform())
