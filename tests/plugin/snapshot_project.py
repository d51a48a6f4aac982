"""A small project with snapshots: what its tests log, and what lies in its folders."""

from __future__ import annotations

from pathlib import Path

MODEL = """
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3, 3)

    def forward(self, x):
        {}
"""
TEST = """
def test_graph(lens, lens_snapshot):
    lens_snapshot.check(lens(Net(), torch.ones(2, 3)))
"""
BEFORE = MODEL.format("return self.linear(x) * 2") + TEST
AFTER = MODEL.format("return self.linear(x) * 3 + x") + TEST
#: The same ops, two independent ones of them in another order.
ORDER = MODEL.format("a = x.sin(); b = x.cos(); return a + b") + TEST
REORDERED = MODEL.format("b = x.cos(); a = x.sin(); return a + b") + TEST

FILE = "__lens__/test_it/test_graph.lens"
RECEIVED = f".pytest_cache/d/lens/{FILE}"
ACCEPT = 'pytest --lens-update "test_it.py::test_graph"'


def snapshots_in(directory: Path) -> dict[str, str]:
    """The text of every snapshot, by its path; those that were received left out."""
    return {
        path.relative_to(directory).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(directory.rglob("*.lens"))
        if path.is_file() and ".pytest_cache" not in path.parts
    }


def said_of(outlines: list[str], name: str = "test_graph") -> list[str]:
    """What is said of the failure of a test."""
    start = next(n for n, line in enumerate(outlines) if line.strip("_") == f" {name} ") + 1
    end = next(n for n, line in enumerate(outlines) if n > start and line.startswith(("==", "__")))
    return outlines[start:end]
