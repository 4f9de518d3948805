"""Processes that a server has left behind at a reload: known by number and start, and waited for until they are gone."""

import os
import subprocess
import sys

from weft.host import processes


def test_a_process_is_an_orphan_once_it_is_not_below_its_server(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    (served,) = processes.known([child.pid])
    mine = tmp_path / "mine.pid"
    mine.write_text(str(os.getpid()))
    assert processes.orphans([served], str(mine)) == [] and processes.orphans([served], str(tmp_path / "none.pid")) == [served]
    served.kill()
    child.wait()
    assert processes.orphans([served], str(tmp_path / "none.pid")) == [] and not served.runs()


def test_a_number_that_is_used_anew_is_another_process():
    mine = processes.known([os.getpid()]).pop()
    later = processes.Known(mine.pid, mine.tick + 1)
    assert mine.runs() and not later.runs() and processes.known([0]) == set()
    later.kill()
