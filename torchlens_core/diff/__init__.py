"""Diffs: what changed between the structures of two forward passes, said shortly."""

from torchlens_core.changes import Change
from torchlens_core.diff.graph_diff import GraphDiff, diff_graphs

__all__ = ["Change", "GraphDiff", "diff_graphs"]
