"""What this machine had to skip, as one list with the one command that provides it: a skip is never silent.

With WEFT_NO_SKIPS=1 (in CI) a skip is a failure. `--skips-file F` collects the reasons of several runs;
`python -m tests.skips F` prints them once and removes F.
"""

import json
import os
import sys
from pathlib import Path


def pytest_addoption(parser):
    parser.addoption("--skips-file", help="collect the reasons of skipped tests in this file")


def pytest_terminal_summary(terminalreporter, config):
    reasons = {}
    for report in terminalreporter.stats.get("skipped", ()):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons[reason.removeprefix("Skipped: ")] = reasons.get(reason.removeprefix("Skipped: "), 0) + 1
    path = config.getoption("--skips-file")
    if path and reasons:
        Path(path).parent.mkdir(exist_ok=True)
        with open(path, "a", encoding="utf-8") as out:
            out.writelines(json.dumps([reason, count]) + "\n" for reason, count in reasons.items())
    if reasons and os.environ.get("WEFT_NO_SKIPS"):
        for reason, count in reasons.items():
            terminalreporter.write_line(f"skipped {count}, which is a failure here: {reason}", red=True)


def pytest_sessionfinish(session, exitstatus):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("WEFT_NO_SKIPS") and reporter and reporter.stats.get("skipped") and exitstatus == 0:
        session.exitstatus = 1


def main(path):
    """Print the collected reasons."""
    if not path.exists():
        print("nothing was skipped")
        return
    print("skipped on this machine:")
    for line in path.read_text(encoding="utf-8").splitlines():
        reason, count = json.loads(line)
        print(f"  {count:>3}  {reason}")
    print("to run them too: sudo make packages && sudo make test")
    path.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
