"""Changes of the whole: inputs, outputs, the model itself, several equal modules at once."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from graph_mutation import clay
from graph_mutation.clay import Clay
from graph_mutation.mutants import (
    SHAPE,
    Claim,
    Mutant,
    Site,
    on_outline,
    ops,
    with_op,
)
from graph_mutation.on_ops import is_plain, resized, with_spec
from graph_mutation.wiring import (
    choose,
)
from torchlens_core.snapshot import draft
from torchlens_core.snapshot.outline import (
    Argument,
    Body,
    Call,
    Op,
    Outline,
    Output,
    Ref,
    Unused,
    flat,
)


def _plain(outline: Outline, **says: object) -> Mutant:
    return Mutant(outline=outline, claims=(Claim(**says),))  # type: ignore[arg-type]


@on_outline
def swap_returns(outline: Outline, random: Random):
    """The model returns two values in another order."""
    if len(outline.outputs) < 2:
        return None
    a, b = sorted(random.sample(range(len(outline.outputs)), 2))
    outputs = list(outline.outputs)
    if outputs[a].operand == outputs[b].operand:
        return None
    one, two = outputs[a], outputs[b]
    outputs[a] = one._replace(operand=two.operand, spec=two.spec)
    outputs[b] = two._replace(operand=one.operand, spec=one.spec)
    return _plain(replace(outline, outputs=tuple(outputs)), says=("returns", "order"), most=1)


@on_outline
def remove_output(outline: Outline, random: Random):
    """The model returns a tensor less."""
    if not outline.outputs:
        return None
    n = random.randrange(len(outline.outputs))
    outputs = (*outline.outputs[:n], *outline.outputs[n + 1 :])
    return _plain(
        replace(outline, outputs=outputs), says=("outputs", f"- {outline.outputs[n].name}"), most=2
    )


@on_outline
def add_output(outline: Outline, random: Random):
    """The model returns a tensor more."""
    found = [one for one in outline.body.items if isinstance(one, Op) and one.specs and one.kind != "input"]
    unit = choose(random, found)
    if unit is None:
        return None
    more = Output("output.extra", Ref(unit.name), unit.specs[0])
    return _plain(
        replace(outline, outputs=(*outline.outputs, more)), says=("outputs", "+ output.extra"), most=2
    )


@on_outline
def rename_output(outline: Outline, random: Random):
    """``output`` → ``output.logits``."""
    if not outline.outputs:
        return None
    n = random.randrange(len(outline.outputs))
    old = outline.outputs[n].name
    outputs = (
        *outline.outputs[:n],
        outline.outputs[n]._replace(name="output.logits_"),
        *outline.outputs[n + 1 :],
    )
    return _plain(replace(outline, outputs=outputs), says=("outputs", old, "output.logits_"), most=1)


@on_outline
def rename_model(outline: Outline, random: Random):
    """The model's class is called otherwise."""
    new = f"{outline.model}V2"
    return _plain(replace(outline, model=new), says=(f"{outline.model} → {new}",), most=1)


@on_outline
def switch_model(outline: Outline, random: Random):
    """The model trains, or stopped to."""
    changed = replace(outline, is_training=not outline.is_training)
    return _plain(changed, says=("switched", "training" if changed.is_training else "eval"), most=1)


@on_outline
def rename_input(outline: Outline, random: Random):
    """``x`` → ``pixels``."""

    def change(body: Clay) -> None:
        unit = choose(random, [one for one in body.units if one.kind == "input"])
        names.append(unit.name)
        unit.name = "pixels"

    names: list[str] = []
    return _plain(clay.edited(outline, (), change), says=("input", names[0], "pixels"), most=1)


@on_outline
def add_input(outline: Outline, random: Random):
    """An input that nobody reads."""

    def change(body: Clay) -> None:
        body.items.insert(0, draft.Item(name="mask", kind="input", results=["b8[1, 3]"]))

    return _plain(clay.edited(outline, (), change), says=("+ input mask", "b8[1, 3]"), most=1)


@on_outline
def remove_input(outline: Outline, random: Random):
    """The input is gone, and who read it reads the other one."""
    if sum(isinstance(one, Op) and one.kind == "input" for one in outline.body.items) < 2:
        return None

    def change(body: Clay) -> None:
        found = [one for one in body.units if one.kind == "input"]
        names.append(found[1].name)
        body.items.remove(found[1])
        body.change_refs(lambda ref: ref._replace(target=found[0]) if ref.target is found[1] else ref)
        for unit in body.units:
            if unit.body is not None and len(set(unit.operands[0])) < len(unit.operands[0]):
                names.append("twice")

    names: list[str] = []
    changed = clay.edited(outline, (), change)
    return None if len(names) > 1 else _plain(changed, says=("- input", names[0]), most=3)


@on_outline
def change_input_shape(outline: Outline, random: Random):
    """An input has another size; what follows from it is not done."""
    found = [n for n, one in enumerate(outline.body.items) if isinstance(one, Op) and one.kind == "input"]
    n = random.choice(found)
    old = outline.body.items[n]
    assert isinstance(old, Op)
    done = with_spec(old, lambda spec: resized(spec, random), random)
    if done is None:
        return None
    items = (*outline.body.items[:n], done[0], *outline.body.items[n + 1 :])
    changed = replace(outline, body=Body(items))
    return _plain(changed, says=("input", old.name, *done[1]), effect=SHAPE, most=1)


@on_outline
def change_unused(outline: Outline, random: Random):
    """Parameters that nothing reads have come, or there are more of them."""
    unused = (*outline.unused, Unused("aux_head", 1234))
    return _plain(replace(outline, unused=unused), says=("unused", "aux_head", "0 → 1,234"), most=1)


@on_outline
def change_one_of_equal_siblings(outline: Outline, random: Random):
    """An op changes in one of several modules that were the same."""
    site = _in_equal_siblings(outline, random)
    if site is None:
        return None
    op = replace(site.op, arguments=(*site.op.arguments, Argument("offset_", "7")))
    claim = Claim(says=(site.name, "offset_", "default → 7"), address=site.address, most=1)
    return Mutant(outline=with_op(outline, site, op), claims=(claim,))


@on_outline
def change_all_equal_siblings(outline: Outline, random: Random):
    """The same op changes in all of several modules that were the same: said once, and where else."""
    site = _in_equal_siblings(outline, random)
    if site is None:
        return None
    parent = next(body for path, _, body in clay.bodies(outline) if path == site.path[:-1])
    calls = list(flat(parent.items))
    mine = calls[site.path[-1]]
    assert isinstance(mine, Call)
    same = [n for n, one in enumerate(calls) if isinstance(one, Call) and one.body == mine.body]
    changed, claims = outline, []
    prefix = site.address[: len(site.address) - len(mine.name.partition("#")[0])]
    op = replace(site.op, arguments=(*site.op.arguments, Argument("offset_", "7")))
    for n in same:
        changed = with_op(changed, replace(site, path=(*site.path[:-1], n)), op)
        claims.append(
            Claim(
                says=(site.name, "offset_", "default → 7"),
                address=prefix + calls[n].name.partition("#")[0],
                most=len(same),
            )
        )
    return Mutant(outline=changed, claims=tuple(claims))


def _in_equal_siblings(outline: Outline, random: Random) -> Site | None:
    found = []
    bodies = {path: body for path, _, body in clay.bodies(outline)}
    for site in ops(outline):
        if not site.path or not is_plain(site.op):
            continue
        siblings = list(flat(bodies[site.path[:-1]].items))
        mine = siblings[site.path[-1]]
        assert isinstance(mine, Call)
        names = {
            one.name.partition("#")[0]
            for one in siblings
            if isinstance(one, Call) and one.class_name == mine.class_name and one.body == mine.body
        }
        if len(names) > 1:
            found.append(site)
    return choose(random, found)
