"""Shell completion as Fabric and Invoke have it, with weft's tasks: a real bash, the real programs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not shutil.which("bash"), reason="no bash: apt-get install -y bash")]
ROOT = Path(__file__).parents[2]
ASK = r"""
set -eu
eval "$({front} --print-completion-script bash)"
function=$(complete -p {front} | sed 's/.*-F \([^ ]*\).*/\1/')
COMP_WORDS=({words} '{word}') COMP_CWORD={at}
"$function" {front} '{word}' '{before}'
printf '%s\n' ${{COMPREPLY[@]+"${{COMPREPLY[@]}}"}}
"""


def completed(front, *words):
    """What bash offers for the last word."""
    *before, word = (front, *words)
    script = ASK.format(front=front, words=" ".join(before), word=word, at=len(before), before=before[-1])
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(["bash", "--norc", "-c", script], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_tasks_and_their_options_are_completed():
    assert set(completed("fab", "d")) == {"deploy", "disable", "doctor"}
    assert set(completed("fab", "un")) == {"undeploy", "unlock"}
    assert set(completed("fab", "logs", "--")) >= {"--lines", "--follow", "--errors", "--env", "--limit", "--exclude", "--json"}
    assert completed("fab", "rollback", "--fa") == ["--fast"]
    assert "--print-completion-script" in completed("fab", "--pri")
    assert set(completed("inv", "re")) == {"release"}
