"""`python -m weft.demo`: see `--help`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from weft.demo.screen import Screen
from weft.demo.story import Story
from weft.errors import FailedUndone, Refused, WeftError

EXAMPLE = """\
example:
  python -m weft.demo                  in a new directory below /tmp
  python -m weft.demo --dir ~/scratch  in a directory of yours, which must not exist

It needs git, and Apache with mod_wsgi for the system's Python or a C compiler. It listens on loopback only for checks and
on one free port for the site, ends by itself in under two minutes once Apache is there, and stops what it started.
"""


def main() -> int:
    """0 where no request failed; the failing command's code otherwise."""
    parser = argparse.ArgumentParser(prog="python -m weft.demo", description="Make a project, release it twice, deploy both "
                                     "under load, deploy a broken release, roll back; then the figures.", epilog=EXAMPLE,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", metavar="D", help="where to work; must not exist (default: a new one below /tmp)")
    words = parser.parse_args()
    screen = Screen()
    start = time.monotonic()
    try:
        scratch = _scratch(words.dir)
        story = Story(scratch, screen)
        try:
            report = story.tell()
        finally:
            story.close()
        return _figures(screen, story, report, time.monotonic() - start)
    except WeftError as error:
        for line in error.lines():
            screen.line(line)
        return error.code
    except KeyboardInterrupt:
        screen.line("interrupted; the demo's server has been stopped")
        return 130


def _scratch(wish: str | None) -> Path:
    if wish:
        path = Path(wish).expanduser().absolute()
        if path.exists():
            raise Refused(f"{path} is there already", "name a directory that is not there yet")
        path.mkdir(parents=True)
        return path
    path = Path(tempfile.mkdtemp(prefix="weft-demo-"))
    path.chmod(0o755)  # the application may run as another account
    return path


def _figures(screen: Screen, story: Story, report: dict[str, Any], seconds: float) -> int:
    screen.heading("What was measured")
    for what, how in story.switches:
        screen.line(f"  {what:<16} {how}")
    screen.line(f"  requests         {report['sent']} sent, {report['failed']} failed, {report['mixed']} mixed from two releases")
    screen.line(f"  latency          p50 {report['p50_ms']:.0f} ms, p99 {report['p99_ms']:.0f} ms, worst {report['worst_ms']:.0f} ms "
                f"({report['slow']} more that take 4 s by themselves took {report['slow_worst_ms'] / 1000:.1f} s at the most)")
    screen.line(f"  the demo         {seconds:.0f} s")
    if report["failed"] or report["mixed"]:
        failed = FailedUndone(f"{report['failed']} requests failed and {report['mixed']} were mixed", "please report it", "the demo has ended")
        for line in failed.lines():
            screen.line(line)
        return failed.code
    screen.line()
    screen.line("  Try next, in the project that was made (its server has been stopped):")
    screen.line(f"    cd {story.project}")
    screen.line("    fab setup                        starts the server again")
    screen.line("    fab plan --version 0.2.0         what a deploy would do")
    screen.line("    fab deploy --version 0.2.0       and do it")
    screen.line("    fab history")
    screen.line(f"  And at the end: kill $(cat {story.prefix}/var/run/httpd.pid); rm -r {story.scratch}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
