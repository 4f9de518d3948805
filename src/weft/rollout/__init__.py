"""The operator's side: inventory, waves, transport (Fabric lives there), and the phases of a rollout."""
