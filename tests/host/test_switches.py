"""The short form of bench/switches.py: switches and a new release under load, with requests of several seconds in flight."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.host.bench_host import missing

BENCH = Path(__file__).parents[2] / "bench/switches.py"


@pytest.mark.slow
def test_no_request_is_lost_or_mixed_by_fifteen_switches():
    if missing():
        pytest.skip(missing())
    done = subprocess.run([sys.executable, str(BENCH), "--alone", "--switches", "15", "--requests", "20000", "--slow", "5"],
                          capture_output=True, text=True, timeout=540)
    assert done.returncode == 0, done.stdout + done.stderr
    for row in ("| switches, of them new releases | 15, 1 |", "| failed | 0 |", "| mixed | 0 |"):
        assert row in done.stdout
