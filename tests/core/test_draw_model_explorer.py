"""The export for Model Explorer: unique ids, edges between them, namespaces that are no accident."""

from __future__ import annotations

import json

import torch
from models import With
from torch import nn

import torchlens_core as tl
from torchlens_core import draw


def exported(model, *inputs, **options):
    found = json.loads(draw.picture(tl.log_forward_pass(model, list(inputs)), **options).as_bytes("json"))
    (graph,) = found["graphs"]
    return graph


def test_nodes_and_edges():
    graph = exported(nn.Sequential(nn.Linear(3, 2), nn.Sequential(nn.ReLU(), nn.Tanh())), torch.rand(1, 3))
    nodes = {node["label"]: node for node in graph["nodes"]}
    assert list(nodes) == ["input", "linear", "relu", "tanh", "output"]
    assert nodes["tanh"]["namespace"] == "1/1"
    assert nodes["tanh"]["incomingEdges"] == [
        {"sourceNodeId": nodes["relu"]["id"], "sourceNodeOutputId": "0", "targetNodeInputId": "0"}
    ]
    assert {"key": "arguments", "value": "3→2"} in nodes["linear"]["attrs"]
    assert graph["groupNodeAttributes"]["1"] == {"class": "Sequential"}


def test_ids_are_unique_and_every_edge_has_both_ends():
    graph = exported(nn.TransformerEncoderLayer(4, 2, 8), torch.rand(2, 1, 4))
    ids = [node["id"] for node in graph["nodes"]]
    assert len(set(ids)) == len(ids)
    assert {edge["sourceNodeId"] for node in graph["nodes"] for edge in node["incomingEdges"]} <= set(ids)


def test_several_results():
    graph = exported(With(lambda model, x: x.chunk(2)[1].exp()), torch.rand(2))
    assert graph["nodes"][2]["incomingEdges"][0]["sourceNodeOutputId"] == "1"


def test_closed_modules_are_there():
    assert (
        len(exported(nn.Sequential(nn.Sequential(nn.ReLU(), nn.Tanh())), torch.rand(1), depth=1)["nodes"])
        == 4
    )


def test_calls_of_one_name_are_groups_of_their_own():
    def twice(model, x):
        return model.block(model.block(x).exp())

    model = With(twice, block=nn.Sequential(nn.ReLU(), nn.Tanh()))
    namespaces = {node["namespace"] for node in exported(model, torch.rand(1))["nodes"]}
    assert namespaces == {"", "block/0", "block/1", "block (2)/0", "block (2)/1"}
