"""Ops and modules that come and go, or stand elsewhere."""

from __future__ import annotations

from random import Random

from graph_mutation import clay
from graph_mutation.clay import Clay
from graph_mutation.mutants import (
    on_body,
)
from graph_mutation.wiring import (
    bypassed,
    choose,
    is_simple,
    label,
    readable_by,
    title,
    value_name,
    value_places,
)
from torchlens_core.snapshot import draft
from torchlens_core.snapshot.outline import (
    HOLE,
    Argument,
    Body,
    Op,
    Ref,
    default_returns,
    refs_of,
)


@on_body(most=3)
def drop_unit(body: Clay, random: Random):
    """An op or module is not there: who read it reads its first input."""
    found = [(unit, given) for unit in body.units if (given := bypassed(body, unit)) is not None]
    chosen = choose(random, found)
    if chosen is None:
        return None
    unit, given = chosen
    says = ["-", *title(unit, label(body, unit).partition("#")[0])]
    del body.container(unit)[body.place(unit)]
    body.change_refs(lambda ref: given if ref.target is unit else ref)
    return says


@on_body(most=3)
def drop_unread(body: Clay, random: Random):
    """An op or module that nobody reads is not there."""
    returned = {
        ref.target for one in body.returns for ref in refs_of(one) if isinstance(ref.target, draft.Item)
    }
    read = {id(ref.target) for unit in body.units for ref in clay.refs_in(unit)} | {
        id(one) for one in returned
    }
    found = [
        unit
        for unit in body.units
        if id(unit) not in read and len(body.container(unit)) > 1 and unit.kind not in ("input", "constant")
    ]
    unit = choose(random, found)
    if unit is None:
        return None
    says = ["-", *title(unit, label(body, unit).partition("#")[0])]
    del body.container(unit)[body.place(unit)]
    return says


def _edge(body: Clay, random: Random):
    """A unit and where a value stands that it reads, which something can be put before."""
    found = [
        (unit, n, m)
        for unit in body.units
        for n, m in value_places(unit)
        if is_simple(unit.operands[n][m]) and unit.kind != "input"
    ]
    return choose(random, found)


@on_body(most=2)
def insert_op(body: Clay, random: Random):
    """An op between a value and one who reads it."""
    chosen = _edge(body, random)
    if chosen is None:
        return None
    unit, n, m = chosen
    given = unit.operands[n][m]
    item = draft.Item(name="mul", kind="mul", texts=[("", HOLE), ("other", "0.5")], operands=[[given], []])
    item.results, item.counts = [body.spec(given) or "f32[1]"], unit.counts
    unit.operands[n][m] = draft.Ref(item)
    body.container(unit).insert(body.place(unit), item)
    return ["+", "mul(other=0.5)", "·", label(body, unit), item.results[0]]


@on_body(most=2)
def insert_module(body: Clay, random: Random):
    """A module of one op between a value and one who reads it."""
    chosen = _edge(body, random)
    if chosen is None:
        return None
    unit, n, m = chosen
    given = unit.operands[n][m]
    spec = body.spec(given) or "f32[1]"
    op = Op(
        name="dropout",
        kind="dropout",
        results=(spec,),
        arguments=(Argument("", HOLE, (Ref("$0"),)), Argument("p", "0.1")),
    )
    item = draft.Item(name="drop_", class_name="Dropout", operands=[[given]], counts=unit.counts)
    item.body = Body((op,), default_returns((op,)))
    unit.operands[n][m] = draft.Ref(item)
    body.container(unit).insert(body.place(unit), item)
    return ["+", "drop_", "Dropout", "dropout(p=0.1)", label(body, unit)]


@on_body(most=3)
def insert_unread(body: Clay, random: Random):
    """An op that nobody reads."""
    found = [unit for unit in body.units if unit.kind != "input" and readable_by(body, unit)]
    unit = choose(random, found)
    if unit is None:
        return None
    given = random.choice(readable_by(body, unit))
    item = draft.Item(name="sum", kind="sum", texts=[("", HOLE), ("dim", "0")], operands=[[given], []])
    item.results, item.counts = ["f32[1]"], unit.counts
    body.container(unit).insert(body.place(unit), item)
    return ["+", "sum(dim=0)", *value_name(body, given)]


@on_body(most=3)
def add_constant(body: Clay, random: Random):
    """A constant is added to a value."""
    chosen = _edge(body, random)
    if chosen is None:
        return None
    unit, n, m = chosen
    given = unit.operands[n][m]
    constant = draft.Item(name="constant", kind="constant", results=["f32[13]"], counts=unit.counts)
    total = draft.Item(
        name="add", kind="add", texts=[("", HOLE), ("", HOLE)], results=[body.spec(given) or "f32[1]"]
    )
    total.operands, total.counts = [[given], [draft.Ref(constant)]], unit.counts
    unit.operands[n][m] = draft.Ref(total)
    at = body.place(unit)
    body.container(unit)[at:at] = [constant, total]
    return ["+", "constant", "f32[13]"]


@on_body(most=3)
def remove_constant(body: Clay, random: Random):
    """A constant is an argument in words."""
    found = [
        (constant, unit, n)
        for constant in body.units
        if constant.kind == "constant" and len(body.readers(constant)) == 1
        for unit in body.readers(constant)
        for n, group in enumerate(unit.operands)
        if group == [draft.Ref(constant)] and unit.body is None and unit.texts[n][1] == HOLE
    ]
    chosen = choose(random, found)
    if chosen is None:
        return None
    constant, unit, n = chosen
    unit.texts[n], unit.operands[n] = ("other", "2.5"), []
    del body.container(constant)[body.place(constant)]
    return ["-", "constant", constant.results[0]]
