"""The package index of a store, PEP 503 and 691: what is offered, how its pages look, and the static one that lies in the store."""
