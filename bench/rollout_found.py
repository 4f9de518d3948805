"""What bench/rollout.py has measured, and its table."""

import rollout_floor

CELLS = ("first", "new", "again", "rollback")
BASE = "weft at once"


class Found:
    """What was measured so far, and what was left out."""

    def __init__(self, tools, file):
        self.tools, self.file = tools, file
        self.results, self.left, self.floors, self.fleets, self.told = {}, {}, {}, {}, {}

    def text(self):
        return table(self.results, self.tools, self.left) + "\n" + rollout_floor.shown(self.floors, self.told, self.fleets) + "\n"

    def keep(self):
        if self.file:
            self.file.write_text(self.text())


def median(seen):
    """The run in the middle."""
    return sorted(seen, key=lambda each: each["seconds"])[len(seen) // 2]


def table(results, tools, left):
    """Lines of Markdown: seconds with their ratio to weft's in one wave, CPU and bytes, a line a cell."""
    lines = ["", "| hosts, rtt | cell | " + " | ".join(tools) + " |", "|---" * (len(tools) + 2) + "|"]
    for (count, rtt), cells in sorted(results.items(), key=lambda each: (each[0][1], each[0][0])):
        for cell in CELLS:
            said = []
            for name in tools:
                seen, base = (middle(cells, each, cell) for each in (name, BASE))
                ratio = f" ({seen['seconds'] / base['seconds']:.1f}x)" if seen and base and name != BASE else ""
                said.append(f"{seen['seconds']:.2f} s{ratio}, CPU {seen['cpu']:.2f} s, {seen['bytes'] / 1e6:.2f} MB" if seen else left.get((count, rtt, name), ""))
            lines.append(f"| {count}, {rtt} ms | {cell} | " + " | ".join(said) + " |")
    worse = [f"{count} hosts, {rtt} ms, {cell}: {name} {other['seconds'] / base['seconds']:.2f}x" for (count, rtt), cells in results.items()
             for name in tools if not name.startswith("weft") for cell in CELLS for other, base in [(middle(cells, name, cell), middle(cells, BASE, cell))]
             if other and base and other["seconds"] < base["seconds"]]
    if any(BASE in cells for cells in results.values()):
        lines += ["", "Quicker than weft at once: " + ("; ".join(worse) or "none, in no cell that was measured")]
    return "\n".join(lines)


def middle(cells, name, cell):
    """A cell's figures for a tool; None where there are none."""
    seen = cells.get(name, {}).get(cell)
    return median(seen) if seen else None
