"""Log a forward pass of any PyTorch model: every value, the graph, modules, loops, source lines."""

from torchlens_core.entries import Layer, ModuleCall, Op
from torchlens_core.errors import (
    AmbiguousLayerError,
    ArgumentError,
    DeviceMismatchError,
    DrawingError,
    IncomparableError,
    LayerIndexError,
    ReplayError,
    SnapshotError,
    StaleValueError,
    TorchLensError,
    UnknownLayerError,
    UnsupportedTorchError,
)
from torchlens_core.history import ModelHistory
from torchlens_core.report import Finding, ValidationReport
from torchlens_core.snapshot import Snapshot, read_snapshot, structure_hash, take_snapshot
from torchlens_core.specs import TensorSpec
from torchlens_core.trace import get_model_metadata, log_forward_pass, show_model_graph
from torchlens_core.validate import validate_model_activations

__all__ = [
    "AmbiguousLayerError",
    "ArgumentError",
    "DeviceMismatchError",
    "DrawingError",
    "Finding",
    "IncomparableError",
    "Layer",
    "LayerIndexError",
    "ModelHistory",
    "ModuleCall",
    "Op",
    "ReplayError",
    "Snapshot",
    "SnapshotError",
    "StaleValueError",
    "TensorSpec",
    "TorchLensError",
    "UnknownLayerError",
    "UnsupportedTorchError",
    "ValidationReport",
    "get_model_metadata",
    "log_forward_pass",
    "read_snapshot",
    "show_model_graph",
    "structure_hash",
    "take_snapshot",
    "validate_model_activations",
]
