"""What makes a host go back by itself when nobody gives a command: at boot and every half minute, beside the process of each switch.

systemd where it runs, else cron where it is there; a host without both has only the process of each switch, and set-up says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from weft import durable

ENGINE = "/usr/local/sbin/weft-host"
UNITS = Path("/etc/systemd/system")
CRON = Path("/etc/cron.d/weft")
MARK = "# Written by weft: "
_SERVICE = f"""\
{MARK}undoes switches that were never confirmed.
[Unit]
Description=Go back from releases that were not confirmed (weft)
{{order}}
[Service]
Type=oneshot
ExecStart={ENGINE} recover --all
"""
TEXTS = {
    UNITS / "weft-boot.service": _SERVICE.format(order="After=local-fs.target\nBefore=apache2.service\n") + "\n[Install]\nWantedBy=multi-user.target\n",
    UNITS / "weft-recover.service": _SERVICE.format(order=""),
    UNITS / "weft-recover.timer": f"""\
{MARK}looks every half minute.
[Unit]
Description=Look for releases that were not confirmed (weft)

[Timer]
OnBootSec=30s
OnUnitInactiveSec=30s
AccuracySec=1s

[Install]
WantedBy=timers.target
""",
}
CRON_TEXT = f"""\
{MARK}undoes switches that were never confirmed.
@reboot root {ENGINE} recover --all >/dev/null 2>&1
* * * * * root {ENGINE} recover --all >/dev/null 2>&1
"""
ENABLED = ("weft-boot.service", "weft-recover.timer")
ALONE = "neither systemd nor cron is here: only the process that each switch starts takes a host back, not across a reboot; apt-get install -y cron, then set up again"


def kind() -> str:
    """"systemd", "cron" or "": by reading only."""
    if Path("/run/systemd/system").is_dir() and shutil.which("systemctl"):
        return "systemd"
    return "cron" if CRON.parent.is_dir() and shutil.which("cron", path="/usr/sbin:/usr/bin:/sbin:/bin") else ""


def install() -> list[str]:
    """The sentences of what was done; nothing where all is there. A file of that name that is not weft's is left alone and named."""
    found = kind()
    if not found:
        return [ALONE]
    texts = TEXTS if found == "systemd" else {CRON: CRON_TEXT}
    foreign = [str(path) for path in texts if not _ours(path)]
    if foreign:
        return [f"{', '.join(foreign)} is not weft's and was left alone; only the process that each switch starts takes this host back"]
    written = [path for path, text in texts.items() if _write(path, text)]
    if found == "systemd":
        if written:
            _systemctl("daemon-reload")
        enabled = [unit for unit in ENABLED if not _systemctl("is-enabled", "--quiet", unit)]
        for unit in enabled:
            _systemctl("enable", *(["--now"] if unit.endswith(".timer") else []), unit)
        written += [Path(unit) for unit in enabled if UNITS / unit not in written]
    return [f"{found} takes this host back at boot and every {'half ' if found == 'systemd' else ''}minute if a switch is not confirmed"] if written else []


def remove() -> list[str]:
    """Take away what is weft's of it, for a host on which no application is left."""
    gone = [path for path in (*TEXTS, CRON) if path.exists() and _ours(path)]
    if any(path.parent == UNITS for path in gone) and kind() == "systemd":
        for unit in ENABLED:
            _systemctl("disable", "--now", unit)
    for path in gone:
        path.unlink()
        durable.fsync_dir(path.parent)
    return [f"removed {path}" for path in gone]


def _ours(path: Path) -> bool:
    """Whether it is weft's or not there. A link of that name is somebody's decision, such as a masked unit."""
    if not os.path.lexists(path):
        return True
    try:
        return not path.is_symlink() and path.read_text().startswith(MARK)
    except (OSError, ValueError):
        return False


def _write(path: Path, text: str) -> bool:
    for left in durable.leftovers(path):
        left.unlink()
    if path.exists() and path.read_text() == text:
        return False
    durable.write(path, text, 0o644, (0, 0))
    return True


def _systemctl(*words: str) -> bool:
    return subprocess.run(["systemctl", *words], capture_output=True, check=False, timeout=60, stdin=subprocess.DEVNULL).returncode == 0
