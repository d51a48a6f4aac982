"""The convolutions of torch_geometric, two layers of each, and its models, run with a graph of six nodes.

What an argument holds is known by its name; what a name does not say stands in tables.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from model_suite.case import Inputs, ModelCase
from model_suite.sources.arguments import read
from model_suite.sources.listing import case, library, listed

_SOURCE = "torch_geometric"
#: What is not a model by itself, and why.
_LEFT_OUT = {
    "what others derive from": "MessagePassing",
    "for CUDA alone": "CuGraphSAGEConv CuGraphGATConv CuGraphRGCNConv FusedGATConv",
    "what they wrap is for the user to write": "MetaLayer DeepGraphInfomax GAE VGAE ARGA ARGVA TGNMemory HeteroConv",
    "a table of vectors, with no graph in the forward pass": "Node2Vec MetaPath2Vec",
    "take a data set, not tensors": "RENet GPSE",
}
#: What an argument of a constructor is, by its name, where it has no default.
_VALUES: dict[str, Any] = {
    "in_channels": 8,
    "out_channels": 8,
    "hidden_channels": 8,
    "channels": 8,
    "K": 2,
    "alpha": 0.5,
    "k": 3,
    "num_layers": 2,
    "num_relations": 3,
    "num_nodes": 6,
    "space_dimensions": 3,
    "propagate_dimensions": 4,
    "dim": 3,
    "kernel_size": 2,
    "first_aggr": True,
    "filter_size": 2,
    "edge_dim": 4,
    "aggregators": ["mean", "max", "std"],
    "scalers": ["identity", "amplification"],
    "num_node_types": 2,
    "num_edge_types": 3,
    "edge_type_emb_dim": 4,
    "edge_attr_emb_dim": 4,
    "mode": "lstm",
    "types": ["paper", "author"],
    "metadata": (["paper", "author"], [("paper", "cites", "paper"), ("author", "writes", "paper")]),
    "num_blocks": 2,
    "num_spherical": 3,
    "num_radial": 4,
    "num_bilinear": 4,
    "int_emb_size": 8,
    "basis_emb_size": 4,
    "out_emb_channels": 8,
    "num_timesteps": 2,
    "embedding_dim": 8,
    "num_classes": 4,
    "num_correction_layers": 2,
    "correction_alpha": 0.5,
    "num_smoothing_layers": 2,
    "smoothing_alpha": 0.5,
    "hidden_node_channels": 8,
    "hidden_edge_channels": 4,
    "depth": 2,
    "dim_emb": 8,
    "dim_pe_in": 4,
    "dim_pe_out": 4,
}
#: A ring of six nodes, both ways, and one of every other node.
_RING = "[[0, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 0], [1, 2, 3, 4, 5, 0, 0, 1, 2, 3, 4, 5]]"
_OTHER_RING = "[[0, 2, 4, 1, 3, 5], [2, 4, 0, 3, 5, 1]]"
#: What an argument of ``forward`` is, by its name.
_INPUTS = {
    "edge_index": _RING,
    "pos_edge_index": _RING,
    "neg_edge_index": _OTHER_RING,
    "hyperedge_index": "[[0, 1, 2, 3, 4, 5], [0, 0, 0, 1, 1, 1]]",
    "x": "f32[6, 8]",
    "x_0": "f32[6, 8]",
    "edge_attr": "f32[12, 4]",
    "edge_weight": "f32[12]",
    "edge_type": "i64[12] < 3",
    "node_type": "[0, 1, 0, 1, 0, 1]",
    "pos": "f32[6, 3]",
    "normal": "f32[6, 3]",
    "z": "[6, 1, 1, 7, 8, 1]",
    "batch": "[0, 0, 0, 1, 1, 1]",
    "mask": "first[6] < 4",
    "y": "[0, 1, 2, 3, 0, 1]",
    "y_soft": "f32[6, 4]",
    "pos_enc": "f32[6, 4]",
}
#: How far apart two atoms may be that are near.
_CUTOFF = 0.8
#: By class: arguments of the constructor that are not as their names say. ``16>8`` is a perceptron of those widths,
#: ``conv`` a convolution, ``half`` one of half of the features, ``near`` what finds the atoms that are near.
_OWN: dict[str, dict[str, Any]] = {
    "GINConv": {"nn": "8>8"},
    "GINEConv": {"nn": "8>8", "edge_dim": 4},
    "GATConv": {"heads": 2, "concat": False, "edge_dim": 4},
    "GATv2Conv": {"heads": 2, "concat": False, "edge_dim": 4},
    "TransformerConv": {"heads": 2, "concat": False, "edge_dim": 4},
    "ResGatedGraphConv": {"edge_dim": 4},
    "GENConv": {"edge_dim": 4},
    "PNAConv": {"edge_dim": 4},
    "GeneralConv": {"in_edge_channels": 4},
    "CGConv": {"dim": 4},
    "GMMConv": {"dim": 4},
    "SplineConv": {"dim": 4},
    "NNConv": {"nn": "4>64"},
    "EdgeConv": {"nn": "16>8"},
    "DynamicEdgeConv": {"nn": "16>8"},
    "PointNetConv": {"local_nn": "11>8"},
    "PPFConv": {"local_nn": "12>8"},
    "PointGNNConv": {"mlp_h": "8>3", "mlp_f": "11>8", "mlp_g": "8>8"},
    "FiLMConv": {"num_relations": 3},
    "RGATConv": {"edge_dim": 4},
    "MixHopConv": {"powers": [0]},
    "EGConv": {"num_heads": 2},
    "MLP": {"channel_list": [8, 16, 4]},
    "PNA": {"aggregators": ["mean", "max"], "scalers": ["identity"]},
    "GAT": {"heads": 2},
    "JumpingKnowledge": {"channels": 8, "num_layers": 2},
    "HeteroJumpingKnowledge": {"channels": 8, "num_layers": 2},
    "SchNet": {
        "hidden_channels": 8,
        "num_filters": 8,
        "num_interactions": 2,
        "num_gaussians": 4,
        "cutoff": _CUTOFF,
        "interaction_graph": "near",
    },
    "ViSNet": {"hidden_channels": 8, "num_heads": 2, "num_layers": 2, "num_rbf": 4, "cutoff": _CUTOFF},
    "DeepGCNLayer": {"conv": "conv", "norm": "8>8", "act": "8>8"},
    "GroupAddRev": {"conv": "half", "num_groups": 2},
    "GPSConv": {"conv": "conv"},
    "DirGNNConv": {"conv": "conv"},
    "MaskLabel": {"out_channels": 8},
    "LPFormer": {"ppr_thresholds": [0, 0, 0]},
    "ARLinkPredictor": {"out_channels": 4},
}
#: By class: what is not as in the first layer in the second.
_SECOND: dict[str, dict[str, Any]] = {"SignedConv": {"first_aggr": False}}
#: Convolutions of which there is one: what comes out of it is no input of another.
_ALONE = {"DNAConv"}
#: By class: arguments of ``forward`` that are handed on, in their order.
_POSITIONAL = {
    "DeepGCNLayer": ("f32[6, 8]", _RING),
    "GroupAddRev": ("f32[6, 8]", _RING),
    "CorrectAndSmooth": ("f32[6, 4]", "[0, 1, 2, 3]", "first[6] < 4", _RING),
}
#: By class: arguments of ``forward`` that are not as their names say.
_OWN_INPUTS: dict[str, dict[str, str]] = {
    "DNAConv": {"x": "f32[6, 2, 8]"},
    "NNConv": {"edge_attr": "f32[12, 4]"},
    "WLConv": {"x": "[0, 1, 2, 0, 1, 2]"},
    "InnerProductDecoder": {"z": "f32[6, 8]"},
    "PMLP": {"edge_index": _RING},
    "LPFormer": {"batch": "[[0, 1], [3, 5]]"},
    "ChebConv": {"batch": "[0, 0, 0, 0, 0, 0]"},
}


class Layers(nn.Module):
    """Two layers of one kind, what is between them being rectified."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: Any, **graph: Any) -> Any:
        """Give what comes out of the first to the second, beside the same graph."""
        found = self.first(x, **graph)
        if isinstance(found, dict):
            found = {name: one.relu() for name, one in found.items() if one is not None}
            return self.second({**x, **found}, **graph)
        return self.second(found.relu() if found.is_floating_point() else found, **graph)


class Near(nn.Module):
    """Pairs of atoms of one molecule that are near: the edges, how long each is and, if wanted, where it leads.

    torch_geometric finds them by pyg-lib, which PyPI does not have; SchNet takes another way to find them as an
    argument, and of ViSNet that is a module of its own, which has edges of atoms to themselves too.
    """

    def __init__(self, with_vectors: bool = False) -> None:
        super().__init__()
        self.with_vectors = with_vectors

    def forward(self, pos: Tensor, batch: Tensor) -> tuple[Tensor, ...]:
        """Edges ``i64[2, edges]``, lengths ``f32[edges]`` and vectors ``f32[edges, 3]``."""
        are_near = (torch.cdist(pos, pos) <= _CUTOFF) & (batch[:, None] == batch)
        if not self.with_vectors:
            are_near = are_near & ~torch.eye(len(pos), dtype=torch.bool, device=pos.device)
        edges = are_near.nonzero().t()
        vectors = pos[edges[0]] - pos[edges[1]]
        lengths = vectors.norm(dim=-1)
        return (edges, lengths, vectors) if self.with_vectors else (edges, lengths)


def cases() -> Iterator[ModelCase]:
    """The cases of this source, as recorded."""
    return listed(
        _SOURCE,
        _build,
        _inputs,
        through_python={"RGCNConv": "how many edges there are of a kind chooses the kernel"},
    )


def discover() -> Iterator[ModelCase]:
    """The convolutions and models that the installed torch_geometric lists."""
    nets = _library()
    left_out = {name for names in _LEFT_OUT.values() for name in names.split()}
    for kind, part in (("convolution", nets.conv), ("model", nets.models)):
        for name in part.classes:
            if name not in left_out and isinstance(getattr(nets, name), type):
                yield case(_SOURCE, name, _build, _inputs, name, f"graphs, {kind}")


def _library() -> Any:
    return library("torch_geometric.nn", "torch_geometric")


def _build(name: str) -> nn.Module:
    nets = _library()
    first = getattr(nets, name)(**_arguments(name))
    assert isinstance(first, nn.Module)
    if name == "ViSNet":
        representation: Any = first.representation_model
        representation.distance = Near(with_vectors=True)
    if name not in nets.conv.classes or name in _ALONE:
        return first
    return Layers(first, getattr(nets, name)(**_arguments(name) | _SECOND.get(name, {})))


def _arguments(name: str) -> dict[str, Any]:
    """What a class is built with: what it requires, and what the table says."""
    own = _OWN.get(name, {})
    arguments = {key: _made(value) for key, value in own.items()}
    for key, parameter in _parameters(getattr(_library(), name).__init__).items():
        if key == "deg":
            arguments[key] = torch.tensor([0, 2, 6, 4], device="cpu")
        elif key not in arguments and parameter.default is parameter.empty:
            arguments[key] = _known(_VALUES, key, name)
    if name == "PNA":  # it hands on what it does not know
        arguments["deg"] = torch.tensor([0, 2, 6, 4], device="cpu")
    return arguments


def _made(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value == "near":
        return Near()
    nets = _library()
    if value in ("conv", "half"):
        width = 8 if value == "conv" else 4
        return nets.SAGEConv(width, width)
    return nets.MLP([int(width) for width in value.split(">")], norm=None) if ">" in value else value


def _known(table: Mapping[str, Any], key: str, name: str) -> Any:
    if key not in table:
        raise ValueError(f"no value is known for the argument {key!r} of torch_geometric.nn.{name}")
    return table[key]


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    found = inspect.signature(function).parameters
    return {key: one for key, one in found.items() if key != "self" and one.kind not in variable}


def _inputs(name: str) -> Inputs:
    """Arguments of ``forward``: what it requires, and what the model is built for."""
    if name in _POSITIONAL:
        return tuple(read(text) for text in _POSITIONAL[name]), {}
    own = _OWN_INPUTS.get(name, {})
    wanted = {"edge_type"} | ({"edge_attr"} if _EDGES & set(_arguments(name)) else set())
    made: dict[str, Any] = {}
    for key, parameter in _parameters(getattr(_library(), name).forward).items():
        if key in _SEVERAL:
            made[key] = _SEVERAL[key]()
        elif parameter.default is parameter.empty or key in wanted or key in own:
            made[key] = read(own[key] if key in own else _known(_INPUTS, key, name))
    first = next(iter(made))
    return (made.pop(first),), made


#: Arguments of a constructor that say that edges have features.
_EDGES = {"edge_dim", "in_edge_channels", "dim", "edge_attr_emb_dim"}
#: Arguments of ``forward`` that are several tensors, or sparse: features of layers, or of two kinds of nodes.
_SEVERAL: dict[str, Callable[[], Any]] = {
    "xs": lambda: [torch.rand(6, 8), torch.rand(6, 8)],
    "xs_dict": lambda: {kind: [torch.rand(6, 8), torch.rand(6, 8)] for kind in _VALUES["types"]},
    "x_dict": lambda: {kind: torch.rand(6, 8) for kind in _VALUES["types"]},
    "edge_index_dict": lambda: {kind: read(_RING) for kind in _VALUES["metadata"][1]},
    "ppr_matrix": lambda: torch.rand(6, 6).to_sparse(),
}
