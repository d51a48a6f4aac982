"""Changes of modules: names, classes, modes, nesting; and of loops."""

from __future__ import annotations

import itertools
from random import Random

from graph_mutation import clay
from graph_mutation.clay import Clay
from graph_mutation.mutants import (
    on_body,
)
from graph_mutation.wiring import (
    bypassed,
    choose,
    choose_operand,
    count_values,
    hands_through,
    is_free,
    is_simple,
    label,
    title,
    value_name,
    value_places,
)
from torchlens_core.snapshot import draft
from torchlens_core.snapshot.outline import (
    HOLE,
    Argument,
    Body,
    Call,
    Op,
    Ref,
    refs_of,
)


def _calls(body: Clay, is_leaf_too: bool = True) -> list[draft.Item]:
    found = [unit for unit in body.units if unit.body is not None and unit.name[:1] != "/"]
    return found if is_leaf_too else [unit for unit in found if len(unit.body.items) > 1]


def _is_named(body: Clay, name: str) -> bool:
    """Whether something in a body reads a parameter of a module, by its name."""
    held = [one.name for unit in body.units for one in unit.held]
    return any(one.startswith(f"@{name}.") for one in held)


@on_body(most=1)
def rename_module(body: Clay, random: Random):
    """A module has another name; all its calls."""
    found = [unit for unit in _calls(body) if not _is_named(body, unit.name)]
    chosen = choose(random, found)
    if chosen is None:
        return None
    old = chosen.name
    for unit in body.units:
        if unit.body is not None and unit.name == old:
            unit.name = "other_name"
    return [f"{old} renamed to other_name"]


@on_body(most=1)
def rename_number(body: Clay, random: Random):
    """A module of a list has the next free number, as when one was put before it and gone again."""
    found = [u for u in _calls(body) if u.name.isdigit() and not _is_named(body, u.name)]
    chosen = choose(random, found)
    if chosen is None:
        return None
    old, new = chosen.name, str(max(int(unit.name) for unit in found) + 1)
    for unit in body.units:
        if unit.body is not None and unit.name == old:
            unit.name = new
    return [f"{old} renamed to {new}"]


@on_body(most=3)
def change_class(body: Clay, random: Random):
    """A module is of another class, which does the same."""
    chosen = choose(random, _calls(body))
    if chosen is None:
        return None
    old = chosen.class_name
    for unit in body.units:
        if unit.body is not None and unit.name == chosen.name:
            unit.class_name = f"My{old}"
    return [chosen.name, f"{old} → My{old}"]


@on_body(most=1)
def switch_module(body: Clay, random: Random):
    """One module trains, or stopped to."""
    chosen = choose(random, _calls(body))
    if chosen is None:
        return None
    chosen.mode = "training" if chosen.mode != "training" else ""
    return [label(body, chosen), "training"]


def _given_to(unit: draft.Item) -> list[draft.Operand]:
    return list(dict.fromkeys(unit.operands[0]))


@on_body(most=1)
def wrap_module(body: Clay, random: Random):
    """``conv1`` → ``Sequential(conv1)``; where it is all there is, the module around it is wrapped as well."""
    if len(body.units) == 1:
        return None
    found = [unit for unit in _calls(body) if not _is_named(body, unit.name) and unit.body.items]
    found = [unit for unit in found if sum(one.name == unit.name for one in body.units) == 1]
    chosen = choose(random, found)
    if chosen is None:
        return None
    names = [Ref(f"${n}") for n in range(len(chosen.operands[0]))]
    inner = Call(name="0", class_name=chosen.class_name, arguments=tuple(names), body=chosen.body)
    chosen.body = Body((inner,), tuple(Ref("0", slot) for slot in range(len(chosen.body.returns))))
    old, chosen.class_name = chosen.class_name, "Sequential"
    return [chosen.name, "wrapped", old, "Sequential"]


@on_body(most=2)
def wrap_module_with_dropout(body: Clay, random: Random):
    """``conv1`` → ``Sequential(conv1, Dropout)``; as above."""
    if len(body.units) == 1:
        return None
    found = [
        unit for unit in _calls(body) if not _is_named(body, unit.name) and len(unit.body.returns) == 1
    ]
    found = [unit for unit in found if sum(one.name == unit.name for one in body.units) == 1]
    chosen = choose(random, found)
    if chosen is None or hands_through(chosen, 0):
        return None
    names = [Ref(f"${n}") for n in range(len(chosen.operands[0]))]
    inner = Call(name="0", class_name=chosen.class_name, arguments=tuple(names), body=chosen.body)
    arguments = (Argument("", HOLE, (Ref("$0"),)), Argument("p", "0.1"))
    spec = body.spec(draft.Ref(chosen))
    op = Op(name="dropout", kind="dropout", arguments=arguments, results=(spec,))
    dropped = Call(
        name="1", class_name="Dropout", arguments=(Ref("0"),), body=Body((op,), (Ref("dropout"),))
    )
    chosen.body = Body((inner, dropped), (Ref("1"),))
    old, chosen.class_name = chosen.class_name, "Sequential"
    return [chosen.name, "wrapped", old, "Sequential"]


@on_body(most=2)
def group_modules(body: Clay, random: Random):
    """Two modules that follow each other stand in a new one."""
    found = []
    for container in [body.items]:
        for n, (one, two) in enumerate(itertools.pairwise(container)):
            if one.body is None or two.body is None or "/" in one.name + two.name or one.name == two.name:
                continue
            if len(container) == 2:  # all there is: the module around them has been wrapped as well
                continue
            counts = [sum(other.name == unit.name for other in body.units) for unit in (one, two)]
            if counts == [1, 1] and not _is_named(body, one.name) and not _is_named(body, two.name):
                found.append((container, n))
    chosen = choose(random, found)
    if chosen is None:
        return None
    container, n = chosen
    one, two = container[n : n + 2]
    wanted = dict.fromkeys(
        ref._replace(certain=True)
        for other in body.units
        if other not in (one, two)
        for ref in clay.refs_in(other)
        if ref.target in (one, two)
    ) | dict.fromkeys(ref for op in body.returns for ref in refs_of(op) if ref.target in (one, two))
    outside = list(
        dict.fromkeys(
            operand
            for unit in (one, two)
            for operand in unit.operands[0]
            if all(ref.target is not one for ref in refs_of(operand))
        )
    )
    mixed = [x for x in two.operands[0] if not isinstance(x, draft.Ref)]
    if not wanted or any(ref.target is one for x in mixed for ref in refs_of(x)):
        return None

    def inner(unit: draft.Item) -> Call:
        def named(operand: draft.Operand) -> Ref:
            if isinstance(operand, draft.Ref) and operand.target is one:
                return Ref(one.name, operand.slot, (), operand.certain)
            return Ref(f"${outside.index(operand)}")

        arguments = tuple(map(named, unit.operands[0]))
        return Call(
            name=unit.name, class_name=unit.class_name, arguments=arguments, body=unit.body, mode=unit.mode
        )

    returns = list(wanted)
    block = draft.Item(name="new_block", class_name="Sequential", operands=[outside])
    block.body = Body((inner(one), inner(two)), tuple(Ref(ref.target.name, ref.slot) for ref in returns))
    container[n : n + 2] = [block]
    body.change_refs(
        lambda ref: (
            draft.Ref(block, returns.index(ref._replace(certain=True)), (), ref.certain)
            if ref.target in (one, two)
            else ref
        )
    )
    return [one.name, two.name, "into new_block", "Sequential"]


@on_body(most=3)
def unwrap_module(body: Clay, random: Random):
    """What is in a module stands around it now."""
    found = [
        unit
        for unit in _calls(body, is_leaf_too=False)
        if unit in body.items
        and sum(one.name == unit.name for one in body.units) == 1
        and not any(isinstance(one, draft.Several | draft.Carried) for one in unit.operands[0])
        and any(isinstance(one, Call) for one in unit.body.items)
        and not any(hands_through(unit, slot) for slot in range(count_values(unit)))
        and all(isinstance(one, Ref) for one in unit.body.returns)
    ]
    chosen = choose(random, found)
    if chosen is None:
        return None
    given = chosen.operands[0]
    inside = clay.thawed(chosen.body)
    parts = []
    for part in inside.units:
        if part.body is not None:
            parts.append(part.name)
            part.name = f"{chosen.name}.{part.name}" if part.name[:1] != "/" else part.name
        part.held = [
            one if one.name[1:2] == "/" else one._replace(name=f"@{chosen.name}.{one.name[1:]}")
            for one in part.held
        ]

    def outward(ref: draft.Ref) -> draft.Operand:
        if not isinstance(ref.target, str):
            return ref
        if ref.target[0] == "@":
            is_away = ref.target[1:2] == "/"
            return ref if is_away else ref._replace(target=f"@{chosen.name}.{ref.target[1:]}")
        outer = given[int(ref.target[1:])]
        assert isinstance(outer, draft.Ref)
        return outer._replace(certain=outer.certain and ref.certain)

    inside.change_refs(outward)
    at = body.place(chosen)
    body.items[at : at + 1] = inside.items
    body.change_refs(
        lambda ref: inside.returns[ref.slot]._replace(certain=ref.certain) if ref.target is chosen else ref
    )
    return [chosen.name, "out of", chosen.class_name, parts[0]]


@on_body(most=4)
def move_unit(body: Clay, random: Random):
    """An op or module of a chain runs after the next one instead of before."""
    found = []
    for unit in body.units:
        given = bypassed(body, unit)
        readers = body.readers(unit)
        if (
            given is None
            or len(readers) != 1
            or any(ref.target is unit for one in body.returns for ref in refs_of(one))
        ):
            continue
        (reader,) = readers
        if bypassed(body, reader) is None or body.container(reader) is not body.container(unit):
            continue
        if [clay.first(unit.operands[n][m]) for n, m in value_places(unit)] != [given] or not body.readers(
            reader
        ):
            continue
        if title(unit, unit.name) == title(reader, reader.name):
            continue
        if any(
            other.body is not None and draft.Ref(unit) in other.operands[0]
            for other in body.readers(reader)
        ):
            continue
        found.append((unit, reader, given))
    chosen = choose(random, found)
    if chosen is None:
        return None
    unit, reader, given = chosen
    (place,) = value_places(unit)
    body.change_refs(
        lambda ref: draft.Ref(unit) if ref.target is reader else given if ref.target is unit else ref
    )
    unit.operands[place[0]][place[1]] = draft.Ref(reader)
    container = body.container(unit)
    del container[body.place(unit)]
    container.insert(body.place(reader) + 1, unit)
    # one of the two is said to be elsewhere, or read by another
    return [f"{unit.name}|{reader.name}"]


@on_body(most=2)
def empty_module(body: Clay, random: Random):
    """A module does nothing any more: it returns what it was given."""
    found = [
        unit
        for unit in _calls(body)
        if count_values(unit) == 1
        and bypassed(body, unit) is not None
        and len(unit.operands[0]) == 1
        and sum(one.name == unit.name for one in body.units) == 1
    ]
    chosen = choose(random, found)
    if chosen is None:
        return None
    chosen.body = Body((), (Ref("$0"),))
    old, chosen.class_name = chosen.class_name, "Identity"
    given = chosen.operands[0][0]
    at = draft.Ref(chosen)
    body.change_refs(lambda ref: given if ref == at else ref)
    return [chosen.name, old, "Identity"]


# -- loops ---


@on_body(most=1)
def change_passes(body: Clay, random: Random):
    """A loop runs once more."""
    found = []
    for loop in body.items:
        units = list(draft.flat([loop])) if loop.inside else []
        inside = [ref for unit in units for ref in clay.refs_in(unit)]
        texts = [text for unit in units for _, text in unit.texts] + [
            s for unit in units for s in unit.results
        ]
        if not loop.inside or any(ref.last is not None for ref in inside) or ".." in " ".join(texts):
            continue
        found.append(loop)
    loop = choose(random, found)
    if loop is None:
        return None
    old, loop.passes = loop.passes, loop.passes + 1
    for unit in draft.flat([loop]):
        unit.counts = (loop.passes, *unit.counts[1:])
    return [loop.inside[0].name if not loop.inside[0].inside else "", f"{old} → {old + 1}"]


@on_body(most=1)
def change_what_is_carried(body: Clay, random: Random):
    """The first pass of a loop begins with another value."""
    chosen = choose_operand(
        body, random, lambda unit, one: isinstance(one, draft.Carried) and isinstance(one.first, draft.Ref)
    )
    if chosen is None:
        return None
    unit, n, m = chosen
    loop = next(k for k, one in enumerate(body.items) if unit in list(draft.flat([one])))
    values = [draft.Ref(f"${k}") for k in range(body.given)]
    values += [
        draft.Ref(one)
        for one in body.items[:loop]
        if not one.inside and count_values(one) == 1 and not hands_through(one, 0)
    ]
    old = unit.operands[n][m]
    new = choose(random, [one for one in values if one != old.first and is_free(unit, one)])
    if new is None:
        return None
    unit.operands[n][m] = old._replace(first=new)
    return [label(body, unit), "not", *value_name(body, new)]


@on_body(most=3)
def stop_carrying(body: Clay, random: Random):
    """Each pass of a loop begins anew."""
    chosen = choose_operand(
        body,
        random,
        lambda unit, one: (
            isinstance(one, draft.Carried)
            and is_simple(one.first)
            and is_free(unit, one.first._replace(slot=99))
        ),
    )
    if chosen is None:
        return None
    unit, n, m = chosen
    unit.operands[n][m] = unit.operands[n][m].first
    return [label(body, unit)]
