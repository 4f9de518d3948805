"""Where everything lies on a host. `prefix` stands for / : empty on a real host, a directory for a local one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from weft.record import record
from weft.servers import SLOTS, traffic_log


@record(frozen=True)
class Layout:
    """Where all of an application lies on a host. prefix stands for /, "" on a real host."""

    app: str
    prefix: str = ""

    @property
    def privileged(self) -> bool:
        """Whether accounts are switched and ownership is set; what another user has under a prefix is all theirs."""
        return os.geteuid() == 0

    @property
    def setup_command(self) -> str:
        """What prepares this host: by somebody who may become root, where it is a real one."""
        return "fab setup" if self.prefix else "fab setup --as root"

    @property
    def keep_edit_command(self) -> str:
        """What turns a hand edit of the settings into a drop-in, on the host."""
        if self.prefix:
            return f"{sys.executable} {os.path.abspath(sys.argv[0])} --prefix {self.prefix} keep-edit {self.app}"
        return f"sudo weft-host keep-edit {self.app}"

    @property
    def root(self) -> Path:
        return Path(f"{self.prefix}/var/app/{self.app}")

    @property
    def state(self) -> Path:
        return Path(f"{self.prefix}/var/lib/weft/{self.app}")

    @property
    def ini(self) -> Path:
        return Path(f"{self.prefix}/etc/{self.app}.ini")

    @property
    def drop_ins(self) -> Path:
        return Path(f"{self.prefix}/etc/{self.app}.d")

    @property
    def live(self) -> Path:
        return self.root / "live"

    @property
    def entry(self) -> Path:
        return self.root / "entry.wsgi"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    def release(self, name: str) -> Path:
        return self.root / "releases" / name

    def layer(self, name: str) -> Path:
        return self.root / "layers" / name

    def tool(self, name: str) -> Path:
        return self.root / "tools" / name

    def generation(self, number: int) -> Path:
        return self.root / "generations" / str(number)

    def slot(self, slot: str) -> Path:
        return self.root / "slots" / slot

    def run(self, slot: str) -> Path:
        """Where the processes of a slot leave their markers; the application's account owns it."""
        return self.root / "run" / slot

    def sealed_settings(self, number: int) -> Path:
        """A generation's settings once more, where only root reads: what a hand edit is compared with."""
        return self.state / f"settings-{number}.ini"

    @property
    def allowed_signers(self) -> Path:
        """Whose releases this host takes; root's, written by set-up alone. Not there: every release is taken."""
        return Path(f"{self.prefix}/etc/weft/{self.app}/allowed_signers")

    @property
    def revoked_signers(self) -> Path:
        return self.allowed_signers.with_name("revoked_signers")

    @property
    def run_allowed(self) -> Path:
        """By which root allows `fab run` on a host that takes signed releases only."""
        return self.allowed_signers.with_name("run_allowed")

    @property
    def index_serial(self) -> Path:
        """The last index of releases that was believed."""
        return self.state / "index-serial"

    @property
    def adopted(self) -> Path:
        """The site that answered here before weft, as set-up found it."""
        return self.state / "adopted.json"

    @property
    def trial(self) -> Path:
        """The pending generation and when it goes back by itself."""
        return self.state / "trial.json"

    @property
    def traffic(self) -> Path:
        """Where the server notes each request for weft: time, status and slot; with .1, .2 beside it."""
        return Path(traffic_log(self.app, self.prefix))

    @property
    def traffics(self) -> list[Path]:
        """That, and where a server has one for each slot, written by the application's account."""
        place = self.root / "run"
        return [self.traffic, *(place / server / f"traffic-{slot}" for server in sorted(os.listdir(place) if place.is_dir() else ()) if server not in SLOTS
                                for slot in SLOTS)]

    def folders(self) -> list[Path]:
        """Everything weft makes for an application, parents first."""
        root = self.root
        return [root, *(root / n for n in ("releases", "layers", "generations", "cache", "tools", "slots", "run", "shared")),
                *(self.slot(s) for s in SLOTS), *(self.run(s) for s in SLOTS), self.state, self.drop_ins,
                *(Path(f"{self.prefix}/var/{n}") for n in ("run", "log") if self.prefix)]


    @property
    def last(self) -> Path:
        """The last trial that was confirmed: what was served before it."""
        return self.state / "last.json"


def seal(path: Path) -> Path:
    """Written last: a directory without it is not complete and is swept."""
    return path / "SEAL"
