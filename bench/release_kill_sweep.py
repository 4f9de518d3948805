"""SIGKILL over the whole release pipeline, by hand: `python bench/release_kill_sweep.py [TRIALS] [SEED]`.

Half of the trials die before an act (a program started, a file written, renamed, made, removed), spread over all acts of a
release; half at a random moment. After each: branch and tag moved together or not at all, nothing visible before it was
pushed, no half release; then `--abort` or the same command; then finished, without residue.
"""

import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent / each) for each in ("src", ".")]
os.environ.update(GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1", HGRCPATH="")

from tests.release import killing  # noqa: E402


def sweep(vcs, trials, seed, place):
    """Prints a line a fault and the sum; how many faults there were."""
    nursery = killing.Nursery(warm=False)
    made, acts, seconds = killing.template(place, vcs, nursery, backend="setuptools")
    outcomes, faults, start = Counter(), 0, time.monotonic()
    for number in range(trials):
        at = (len(acts) - 1) * (number // 2) // max(1, trials // 2 - 1) if number % 2 == 0 else None
        try:
            outcomes[killing.trial(nursery, made, place / f"trial-{number}", at, seconds, f"{seed} {vcs} {number}")] += 1
        except Exception as error:
            faults += 1
            print(f"{vcs} trial {number} ({'a moment' if at is None else f'act {at}'}): {type(error).__name__}: {error}", flush=True)
    nursery.close()
    said = ", ".join(f"{count} {what}" for what, count in sorted(outcomes.items()))
    print(f"{vcs}: {len(acts)} acts in a release of {seconds:.1f} s; {trials} kills in {time.monotonic() - start:.0f} s: {said}; {faults} faults",
          flush=True)
    return faults


def main(trials=200, seed="1"):
    with tempfile.TemporaryDirectory(prefix="weft-sweep-") as place:
        os.environ["XDG_CACHE_HOME"] = place
        faults = sum(sweep(vcs, int(trials) // 2, seed, Path(place, vcs)) for vcs in ("git", "hg"))
    print("every kill was followed by nothing, or by done" if not faults else f"{faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
