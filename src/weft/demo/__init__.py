"""The main job on this machine, in two minutes: `python -m weft.demo`, or `make demo`."""
