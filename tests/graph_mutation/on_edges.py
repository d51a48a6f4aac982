"""Changes of what is read: rewired, swapped, dropped; of what is returned."""

from __future__ import annotations

from random import Random

from graph_mutation.clay import Clay
from graph_mutation.mutants import (
    on_body,
)
from graph_mutation.wiring import (
    choose,
    choose_operand,
    count_values,
    hands_through,
    is_free,
    is_simple,
    label,
    readable_by,
    value_name,
    value_places,
)
from torchlens_core.snapshot import draft
from torchlens_core.snapshot.outline import (
    HOLE,
    refs_of,
)


@on_body(most=3)
def rewire(body: Clay, random: Random):
    """One input of a unit is another value of the body."""
    found = []
    for unit in body.units:
        available = readable_by(body, unit)
        for n, m in value_places(unit):
            old = unit.operands[n][m]
            if is_simple(old):
                found += [(unit, n, m, new) for new in available if new != old and is_free(unit, new)]
    chosen = choose(random, found)
    if chosen is None:
        return None
    unit, n, m, new = chosen
    old = unit.operands[n][m]
    unit.operands[n][m] = old._replace(target=new.target, slot=new.slot)
    return [label(body, unit), *value_name(body, new), "not", *value_name(body, old)]


@on_body(most=1)
def read_other_result(body: Clay, random: Random):
    """The second result of an op or module is read instead of the first."""
    found = []
    for unit in body.units:
        for n, m in value_places(unit):
            old = unit.operands[n][m]
            if is_simple(old) and isinstance(old.target, draft.Item):
                others = [
                    draft.Ref(old.target, slot)
                    for slot in range(count_values(old.target))
                    if slot != old.slot
                ]
                found += [
                    (unit, n, m, new)
                    for new in others
                    if is_free(unit, new) and not hands_through(new.target, new.slot)
                ]
    chosen = choose(random, found)
    if chosen is None:
        return None
    unit, n, m, new = chosen
    unit.operands[n][m] = new
    return [label(body, unit), value_name(body, new)[0] + (f"[{new.slot}]" if new.slot else "")]


@on_body(most=1)
def swap_inputs(body: Clay, random: Random):
    """Two inputs of a unit are swapped."""
    found = []
    for unit in body.units:
        places = value_places(unit)
        for a, one in enumerate(places):
            for b in range(a + 1, len(places)):
                first, second = (unit.operands[n][m] for n, m in (one, places[b]))
                if first != second and unit.kind not in ("input", "constant"):
                    found.append((unit, one, places[b], a, b))
    chosen = choose(random, found)
    if chosen is None:
        return None
    unit, (n, m), (k, i), a, b = chosen
    operands = unit.operands
    operands[n][m], operands[k][i] = operands[k][i], operands[n][m]
    return [label(body, unit), f"inputs {a} and {b} swapped"]


@on_body(most=3)
def drop_edge(body: Clay, random: Random):
    """One of several values is not read any more: ``cat([a, b])`` → ``cat([a])``."""
    found = []
    for unit in body.units:
        if unit.body is not None or len(value_places(unit)) < 2:
            continue
        for n, (_, text) in enumerate(unit.texts):
            many = f"{HOLE}, {HOLE}" in text and all(len(refs_of(one)) == 1 for one in unit.operands[n])
            if many or (text == HOLE and len(unit.operands[n]) == 1 and (n, 0) in value_places(unit)):
                found.append((unit, n, many))
    chosen = choose(random, found)
    if chosen is None:
        return None
    unit, n, many = chosen
    if many:
        keyword, text = unit.texts[n]
        unit.texts[n] = keyword, text.replace(f"{HOLE}, {HOLE}", HOLE, 1)
        del unit.operands[n][text[: text.index(f"{HOLE}, {HOLE}")].count(HOLE) + 1]
    else:
        del unit.texts[n], unit.operands[n]
    return [label(body, unit)]


@on_body(most=3)
def forget_part(body: Clay, random: Random):
    """Contents that several values make up together lack one of them."""
    chosen = choose_operand(body, random, lambda unit, one: isinstance(one, draft.Several))
    if chosen is None:
        return None
    unit, n, m = chosen
    refs = unit.operands[n][m].refs
    unit.operands[n][m] = draft.Several(refs[1:]) if len(refs) > 2 else refs[1]
    return [label(body, unit), "not"]


@on_body(most=2)
def change_return(body: Clay, random: Random):
    """A module, or the model, returns another value."""
    if not body.returns:
        return None
    n = random.randrange(len(body.returns))
    old = body.returns[n]
    taken = {ref for one in body.returns for ref in refs_of(one)}
    found = [
        draft.Ref(unit, slot)
        for unit in body.items
        if not unit.inside and unit.kind != "input"
        for slot in range(count_values(unit))
        if not hands_through(unit, slot) and draft.Ref(unit, slot) not in taken
    ]
    new = choose(random, [one for one in found if one != old])
    if new is None or not isinstance(old, draft.Ref):
        return None
    body.returns[n] = new
    return ["returns", *value_name(body, new)]
