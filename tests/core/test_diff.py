"""Diffs of small models: wording, order, twins, what is left out, data. The mutation suite has the rest."""

import json
import random
import re
from functools import partial

import pytest
import torch
from graph_mutation.alignments import faults
from models import Function
from torch import nn

import torchlens_core as tl
from torchlens_core.diff import aligned, diff_graphs
from torchlens_core.snapshot import take_snapshot


def _in_order():
    a = torch.arange(2.0)
    b = torch.arange(2.0)
    c = torch.arange(2.0)
    p = a.log2()
    q = b.log2()
    r = c.log2()
    return p, q, r


def _turned():
    c = torch.arange(2.0)
    a = torch.arange(2.0)
    b = torch.arange(2.0)
    q = b.log2()
    r = c.log2()
    p = a.log2()
    return p, q, r


def _one_read_twice():
    p, q, _ = _in_order()
    return p, q, q


class Twins(nn.Module):
    """Three wholly alike chains, told apart only by who reads them."""

    def __init__(self, chains):
        super().__init__()
        self.chains = chains

    def forward(self, x):
        p, q, r = self.chains()
        return x + p + q * 2 + r * 3


def _logged(chains):
    return tl.get_model_metadata(Twins(chains), torch.zeros(2))


def test_twins_in_another_order_are_no_breaking_change():
    assert diff_graphs(_logged(_in_order), _logged(_turned)).classes <= {"order"}


def test_a_twin_that_is_read_instead_of_another_is_seen():
    assert "breaking" in diff_graphs(_logged(_in_order), _logged(_one_read_twice)).classes


@pytest.fixture
def widths():
    """Two histories of one model, the second wider and with another activation."""
    models = [
        nn.Sequential(nn.Linear(4, n), act(), nn.Linear(n, 2)) for n, act in ((3, nn.ReLU), (5, nn.GELU))
    ]
    return [tl.get_model_metadata(model.eval(), torch.zeros(1, 4)) for model in models]


def test_classes_and_modules_are_left_out(widths):
    diff = diff_graphs(*widths)
    assert diff.classes == {"breaking", "shape"}
    assert [change.name for change in diff.without(["shape"]).changes] == ["1"]
    assert not diff.without(["shape", "1"])
    assert diff.without(["shape", "2"])


def test_as_data(widths):
    data = json.loads(json.dumps(diff_graphs(*widths).as_dict()))
    assert data["parameters"] == [23, 37]
    assert {"kind", "class", "module", "name", "text"} == set(data["changes"][0])
    assert data["following"]["shape"] == {"count": 2, "first": "1"}


def test_histories_are_equal_if_their_structures_are(widths):
    assert widths[0] == widths[0]
    assert widths[0] != widths[1]
    again = tl.get_model_metadata(
        nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).eval(), torch.ones(1, 4)
    )
    assert again == widths[0]
    assert len({again, *widths}) == 2


# -- wording -----------------------------------------------------------------------------------------


def changes(old, new):
    """What a diff says of two models, and that their alignment says it too."""
    found = [take_snapshot(tl.log_forward_pass(model.eval(), torch.zeros(2, 4))) for model in (old, new)]
    diff = diff_graphs(*found)
    assert faults(aligned(*found), found[0].outline, found[1].outline, diff) == []
    return [change.text for change in diff.changes]


class Block(nn.Module):
    def __init__(self, p=0.1):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.drop = nn.Dropout(p)

    def forward(self, x):
        return self.drop(self.fc(x)) + x


def called_thrice(name, module):
    """A module that is called between others."""

    def forward(self, x):
        act = getattr(self, name)
        return act(self.c(act(self.b(act(self.a(x))))))

    return Function(forward, a=nn.Linear(4, 4), b=nn.Linear(4, 4), c=nn.Linear(4, 4), **{name: module})


def test_a_module_called_several_times_is_renamed_once():
    thrice = partial(called_thrice, module=nn.ReLU())
    assert changes(thrice("relu"), thrice("act")) == ["~ relu renamed to act   in 3 calls"]
    thrice = partial(called_thrice, module=Block())
    assert changes(thrice("one"), thrice("other")) == ["~ one renamed to other   in 3 calls"]


def test_a_module_called_several_times_changes_once():
    slopes = [called_thrice("act", nn.LeakyReLU(slope)) for slope in (0.1, 0.2)]
    assert changes(*slopes) == ["~ act: negative_slope 0.1 → 0.2   in 3 calls"]
    acts = [called_thrice("act", act) for act in (nn.ReLU(), nn.GELU())]
    assert changes(*acts) == ["~ act: ReLU relu → GELU gelu   in 3 calls"]


def test_passes_of_loops_are_calls():
    def forward(self, x):
        for _ in range(4):
            x = self.act(self.fc(x))
        return self.act(x.tanh())

    models = [Function(forward, fc=nn.Linear(4, 4), act=nn.LeakyReLU(slope)) for slope in (0.1, 0.2)]
    assert changes(*models) == ["~ act: negative_slope 0.1 → 0.2   in 5 calls"]


def test_calls_that_change_apart_are_told_apart():
    """The control: what differs from call to call is said of each."""

    class Soft(nn.Module):
        def forward(self, x, dim):
            return x.softmax(dim)

    def thrice(*dims):
        def forward(self, x):
            return self.soft(self.soft(self.soft(x, dims[0]).exp(), dims[1]).tanh(), dims[2]).sin()

        return Function(forward, soft=Soft())

    assert changes(thrice(0, 1, 0), thrice(1, 1, 1)) == ["~ soft: dim 0 → 1   in 2 of 3 calls"]
    assert changes(thrice(0, 1, 0), thrice(0, 1, 1)) == ["~ soft#3: dim 0 → 1"]


@pytest.mark.parametrize(
    ("module", "shown"), [(nn.ReLU, "ReLU relu"), (Block, "Block (3 ops)")], ids=["leaf", "block"]
)
def test_a_call_fewer_is_told_as_that(module, shown):
    def called(is_left_out):
        def forward(self, x):
            x = self.act(self.a(x)).exp()
            x = x if is_left_out else self.act(x)
            return self.act(x.tanh())

        return Function(forward, a=nn.Linear(4, 4), act=module())

    lines = changes(called(False), called(True))
    assert lines == [f"- act#2: {shown}   exp → · → tanh   f32[2, 4]   2 calls, not 3"]
    lines = changes(called(True), called(False))
    assert lines == [f"+ act#2: {shown}   exp → · → tanh   f32[2, 4]   3 calls, not 2"]


def test_the_only_call_is_told_without_a_count():
    """The control: a module that is gone altogether."""
    models = [
        Function(lambda self, x: self.act(x).tanh(), act=nn.ReLU()),
        Function(lambda self, x: x.tanh(), act=nn.ReLU()),
    ]
    assert changes(*models) == ["- act: ReLU relu   x → · → tanh   f32[2, 4]"]


def _after_one(is_there, function):
    """A model with a division before all others, or without it, so that theirs have other numbers."""

    def forward(self, x):
        first = (x / 9).sum() if is_there else None
        found = function(x)
        return found if first is None else (*found, first)

    return Function(forward)


def test_values_have_the_names_of_the_new_graph():
    def read(x, is_other):
        a, b = x / 2, x / 3
        return (b if is_other else a).tanh(), a * b

    old, new = (
        _after_one(True, partial(read, is_other=False)),
        _after_one(False, partial(read, is_other=True)),
    )
    assert "~ tanh: input 0 is div#2, not div" in changes(old, new)
    assert "~ tanh: input 0 is div#2, not div#3" in changes(new, old)


def test_returned_values_have_the_names_of_the_new_graph():
    def returned(x, is_other):
        a, b = x / 2, x / 3
        return (b if is_other else a), a * b

    old, new = (
        _after_one(True, partial(returned, is_other=False)),
        _after_one(False, partial(returned, is_other=True)),
    )
    assert "~ returns div#2, not div" in changes(old, new)


def test_what_is_gone_is_called_the_old_one_if_another_has_its_name():
    def read(is_new, kept):
        def forward(self, x):
            a, b = x.sin(), x.cos()
            first = a if is_new else a.relu()
            return (b if is_new else first).exp(), kept(b), a

        return Function(forward)

    changed = changes(read(False, torch.relu), read(True, torch.relu))
    assert "~ exp: input 0 is cos, not the old relu" in changed
    changed = changes(read(False, torch.tanh), read(True, torch.tanh))
    assert "~ exp: input 0 is cos, not relu" in changed


def test_another_pass_of_a_loop_is_told():
    def read(number):
        def forward(self, x):
            found = []
            for _ in range(4):
                x = self.fc(x).relu()
                found.append(x)
            return x + found[number]

        return Function(forward, fc=nn.Linear(4, 4))

    assert changes(read(1), read(2)) == ["~ add: input 1 is relu:3, not relu:2"]


@pytest.mark.parametrize("module", [Block, nn.ReLU])
def test_who_reads_a_block_that_became_an_identity_is_not_rewired(module):
    plain, identity = (
        nn.Sequential(nn.Linear(4, 4), one(), nn.Linear(4, 4)) for one in (module, nn.Identity)
    )
    (line,) = changes(plain, identity)
    assert re.fullmatch(r"~ 1: .* → 1: Identity \(0 ops\) .*", line)
    (line,) = changes(identity, plain)
    assert re.fullmatch(r"~ 1: Identity \(0 ops\) → 1: .*", line)


def test_who_reads_something_else_than_the_identity_is_rewired():
    """The control: a value from before the block."""

    def read(module, is_early):
        def forward(self, x):
            a = x.exp()
            b = a.tanh()
            c = self.block(b)
            return (a if is_early else c).relu()

        return Function(forward, block=module)

    assert "~ relu: input 0 is exp, not block" in changes(read(Block(), False), read(nn.Identity(), True))
    assert not any("relu" in line for line in changes(read(Block(), False), read(nn.Identity(), False)))


def test_another_value_that_is_only_overwritten_is_told_as_both():
    def written(is_new):
        def forward(self, x):
            a, b = x.exp(), x.tanh()
            if is_new:
                b.zero_()
            else:
                torch.relu_(a)
            return a * b

        return Function(forward)

    assert "~ zero_: input 0 is tanh, not exp, and is overwritten now, and no longer read" in changes(
        written(False), written(True)
    )


def test_the_same_value_that_is_only_overwritten_is_told_as_that():
    """The control."""

    def written(is_new):
        def forward(self, x):
            a = x.exp()
            return a.zero_() if is_new else a.relu_()

        return Function(forward)

    assert "~ zero_: input 0, exp, is overwritten now, and no longer read" in changes(
        written(False), written(True)
    )


class Attention(nn.Module):
    """Reads parameters of its own and of a module in it by itself."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(4, 4)
        self.scale = nn.Parameter(torch.ones(4))
        self.proj = nn.Linear(4, 4)

    def forward(self, x):
        q = torch.nn.functional.linear(x, self.qkv.weight)
        k = torch.nn.functional.linear(q + 1, self.qkv.weight, self.qkv.bias) * self.scale
        return self.proj((q @ k.t()).softmax(-1) @ x)


class Around(nn.Module):
    """Calls an attention, or does what is in it."""

    def __init__(self, does_call):
        super().__init__()
        self.attn = Attention()
        self.does_call = does_call

    def forward(self, x):
        return (self.attn(x) if self.does_call else self.attn.forward(x)).relu()


class Inside(Attention):
    """Is an attention."""

    def forward(self, x):
        return super().forward(x).relu()


Inside.__name__ = Inside.__qualname__ = "Around"


@pytest.mark.parametrize("inlined", [partial(Around, False), Inside])
def test_a_module_that_is_no_longer_around_others_is_one_line(inlined):
    what = "linear, add, linear#2 and 6 more"
    assert changes(Around(True), inlined()) == [f"~ {what} moved out of attn: Attention({what})"]
    assert changes(inlined(), Around(True)) == [f"~ {what} moved into attn: Attention({what})"]


def test_another_parameter_is_told_where_a_module_was_taken_away():
    """The control: that of another module is read."""
    old, new = Around(True), Around(False)
    new.attn.qkv = nn.Linear(4, 4)
    new.other = nn.Linear(4, 4)

    def forward(x):
        q = torch.nn.functional.linear(x, new.other.weight)
        k = torch.nn.functional.linear(q + 1, new.attn.qkv.weight, new.attn.qkv.bias) * new.attn.scale
        return new.attn.proj((q @ k.t()).softmax(-1) @ x).relu()

    new.forward = forward
    assert "~ linear: attn.qkv.weight → other.weight" in changes(old, new)


# -- loops that order alone makes ---------------------------------------------------------------------


def chains(order, ends):
    """Alike chains, their ops in a given order, each read with another factor; ``ends`` says which is read when."""

    def forward(self, x):
        values = {}
        for n in order:
            values[n] = torch.arange(4.0) if n not in values else values[n].log2() * 3
        for factor, n in enumerate(ends):
            x = x + values[n] * (factor + 1)
        return x

    return Function(forward)


def test_twins_rolled_into_other_loops_have_only_another_order():
    one, other = chains([0, 0, 1, 1], [0, 1]), chains([0, 1, 0, 1], [0, 1])
    assert "loop" in str(take_snapshot(tl.log_forward_pass(one, torch.zeros(2, 4))))
    (line,) = changes(one, other)
    assert line == "↕ log2, mul run in another order, which makes other loops"


@pytest.mark.parametrize("seed", range(6))
def test_order_alone_makes_no_breaking_change(seed):
    draw = random.Random(seed)
    count = draw.choice([2, 3, 4])
    order = [n for n in range(count) for _ in range(3)]
    models = []
    for _ in range(2):
        draw.shuffle(order)
        models.append(chains(list(order), draw.sample(range(count), count)))
    assert all(line[0] == "↕" for line in changes(*models))
    lost = chains(
        list(order), [0, *range(1, count - 1), 0]
    )  # the control: one chain read twice, one not at all
    assert any(line[0] != "↕" for line in changes(models[0], lost))
