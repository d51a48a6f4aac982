"""Diffs: what changed between the structures of two forward passes, said shortly."""

from torchlens_core.changes import Change
from torchlens_core.diff.alignment import Alignment, Part, Row
from torchlens_core.diff.graph_diff import GraphDiff, aligned, diff_graphs
from torchlens_core.diff.union import draw_diff

__all__ = ["Alignment", "Change", "GraphDiff", "Part", "Row", "aligned", "diff_graphs", "draw_diff"]
