"""python -m weft: the same as the command `weft`."""

from weft.cli import main

raise SystemExit(main())
