"""What every task that rolls out has in common: it runs, and a person sees what it came to."""

from __future__ import annotations

import sys
from typing import Any

SKIP = "go on without hosts that are out of reach; they are named, and the exit code is 6"
PAUSE = "end after that wave, a number or canary, until fab promote; 0: no pause"


def roll(environment: Any, job: Any, plan: bool, json: bool) -> dict[str, Any]:
    """Run it, and print the summary whatever it comes to, once any host may have been changed."""
    from weft.rollout import show, tables
    progress = show.progress(json)
    progress = progress if plan else environment.record(job, progress)
    rollout = environment.rollout(job, progress)
    try:
        with progress:
            said = rollout.run(plan_only=plan)
    finally:
        if not plan:
            progress.end([*rollout.runs, *rollout.absent], sys.exc_info()[1])
        if rollout.begun and not json:
            print("\n".join(["", *tables.summary([*rollout.runs, *rollout.absent])]), flush=True)
        elif rollout.settled and not json:
            print("\n".join(tables.plan_lines(rollout.runs)), flush=True)
    if "paused" in said and not json:
        print(f"{said['paused']['text']}\nnext: {said['paused']['next']}", flush=True)
    secrets = {"secrets": environment.secrets.shown()} if plan and environment.secrets.sources else {}
    return {"app": environment.app, "env": environment.name, "verb": "plan" if plan else job.verb, **secrets, **said}
