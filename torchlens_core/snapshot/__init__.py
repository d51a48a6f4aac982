"""Snapshots: the structure of a forward pass as text that people read and git merges."""

from torchlens_core.snapshot.fingerprint import structure_hash
from torchlens_core.snapshot.snapshot import Snapshot, read_snapshot, take_snapshot

__all__ = ["Snapshot", "read_snapshot", "structure_hash", "take_snapshot"]
