"""The release pipeline: observe the repository, decide (all faults, or a plan), apply it."""
