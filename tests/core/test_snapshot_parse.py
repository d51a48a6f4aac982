"""Reading: a text is understood to the last character, or refused with its line; nothing else ever happens."""

import random
import time

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from snapshots import ROWS, block, model, text
from torch import nn

from torchlens_core.errors import SnapshotError
from torchlens_core.snapshot import read_snapshot

HEAD = "# lens graph 1\nmodel Model\n"
X = f"{HEAD}input x -> f32[3]\n"
END = "output = x -> f32[3]\nend\n"


def _examples():
    """Some texts in which every form occurs."""

    def loops(self, x, y):
        rows, held = [], y.unbind(1)
        for _ in range(3):
            for step in range(4):
                x = self.cell(x.clone(), y) * step
                x[:, 0].mul_(held[0])
                rows.append(x)
        for row in held:
            x = x + row.unsqueeze(1)
        return {"a b": torch.stack(rows), "last": [x, rows[2]]}

    def names(self, x):
        kept = x.new_zeros(3)
        self.seen.copy_(x[0])
        y, z = self.inner(x)
        return (
            torch.einsum("ij,jk -> ik", y, z.T) + y.sum().item() + kept[None, :2] * self.fc.weight[:2, :2]
        )

    cell = block(lambda self, a, b: self.fc(a) * b, fc=nn.Linear(3, 3))
    inner = block(lambda self, a: (a * 2, a))
    odd = model(names, inner=inner, fc=nn.Linear(3, 3))
    odd.register_buffer("seen", torch.zeros(3))
    blocks = nn.Sequential(*[nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)) for _ in range(2)])
    blocks[1][1].eval()
    numbers = torch.ones(3)
    shared = model(
        lambda self, x: self.a(x) + self.b(x),
        a=block(lambda s, x: x * numbers),
        b=block(lambda s, x: x + numbers),
    )
    notes = "# lens graph 1\n# recorded with: torch 2.14.1\n"
    yield notes + text(model(loops, cell=cell), ROWS, ROWS[:, :1].expand(2, 3))
    yield notes + text(odd, torch.ones(2, 3))
    yield notes + text(blocks.train(), ROWS)
    yield notes + text(shared, ROWS)
    yield notes + text(nn.TransformerEncoderLayer(4, 2, 8).eval(), torch.ones(2, 1, 4))
    yield notes + text(nn.LSTM(3, 3), ROWS)


EXAMPLES = list(_examples())


def _check(error, said):
    assert 1 <= error.line <= said.count("\n") + 1
    assert str(error).startswith(f"line {error.line}: ")
    assert len(str(error)) < 400


def _outcome(said):
    """``"refused"`` or ``"read"``; fails if anything else happens."""
    try:
        snapshot = read_snapshot(said)
    except SnapshotError as error:
        _check(error, said)
        return "refused"
    again = str(snapshot)
    assert read_snapshot(again) == snapshot
    assert str(read_snapshot(again)) == again
    again.encode()
    return "read"


# -- what is wrong is said --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "line", "words"),
    [
        ("", 1, ""),
        ("\n", 1, "expected '# lens graph 1'"),
        ("# lens graph\n", 1, "expected '# lens graph 1'"),
        ("# lens graph 2\nmodel M\nend\n", 1, "Update pytest-torchlens"),
        ("# lens graph 0\nmodel M\nend\n", 1, ""),
        ("# lens graph 1\nmodel\nend\n", 2, "expected 'model <class>'"),
        (f"{HEAD}<<<<<<< HEAD\nend\n", 3, "conflict marker"),
        (f"{HEAD}=======\nend\n", 3, "conflict marker"),
        (f"{HEAD}>>>>>>> branch\nend\n", 3, "conflict marker"),
        (f"{HEAD}\nend\n", 3, "empty line"),
        (f"{HEAD}   input x -> f32[3]\nend\n", 3, "indented by 3"),
        (f"{X}  sin(x) -> f32[3]\n{END}", 4, "indented deeper"),
        (f"{X}\tsin(x) -> f32[3]\n{END}", 4, ""),
        (f"{X}sin(y) -> f32[3]\n{END}", 4, "no line above it is called 'y'"),
        (f"{X}sin(_[1]) -> f32[3]\n{END}", 4, "'_'"),
        (f"{X}sin(x[1]) -> f32[3]\n{END}", 4, "x has 1 result"),
        (f"{X}sin(x:2) -> f32[3]\n{END}", 4, "no loop above"),
        (f"{X}sin($0) -> f32[3]\n{END}", 4, "nothing around the model"),
        (f"{X}sin(x -> f32[3]\n{END}", 4, "nothing closes"),
        (f"{X}sin(x)) -> f32[3]\n{END}", 4, ""),
        (f'{X}sin(x, a="b) -> f32[3]\n{END}', 4, ""),
        (f"{X}sin(x) -> f32\n{END}", 4, "expected tensors such as"),
        (f"{X}sin(x) -> f32[3] | weight\n{END}", 4, "expected parameters such as"),
        (f"{X}sin(x) gives f32[3]\n{END}", 4, "after the arguments"),
        (f"{X}sin(x, a=\N{WHITE SQUARE}) -> f32[3]\n{END}", 4, ""),
        (f"{X}sin#2(x) -> f32[3]\n{END}", 4, "number 1 of that name"),
        (f"{X}fc: Linear(x)\n  sin($1) -> f32[3]\n{END}", 4, "given 1 values, but reads $1"),
        (f"{X}fc: Linear(x) = same as 0\n{END}", 4, "same as 0"),
        (f"{X}fc: Linear(x) | sideways\n  sin($0) -> f32[3]\n{END}", 4, "expected 'name: Class(values)'"),
        (f"{X}loop x0 passes\n  sin(x) -> f32[3]\n{END}", 4, ""),
        (f"{X}loop x1 passes\n  sin(x) -> f32[3]\n{END}", 4, ""),
        (f"{X}loop x2 passes\n{END}", 4, "without a line in it"),
        (f"{X}loop x2 passes\n  sin(x~cos) -> f32[3]\n{END}", 5, "cos"),
        (f"{X}sin(x~x) -> f32[3]\n{END}", 4, "no loop around"),
        (f"{X}loop x3 passes\n  sin(x) -> f32[3]\nneg(sin:4) -> f32[3]\n{END}", 6, "so often"),
        (f"{X}loop x3 passes\n  sin(x) -> f32[3]\nneg(sin:0) -> f32[3]\n{END}", 6, "so often"),
        (f"{X}output = x -> f32[3]\noutput = x -> f32[3]\nend\n", 5, ""),
        (f"{X}unused x | ,,, params\nend\n", 4, ""),
        (f"{X}output = x -> f32[3]\nsin(x) -> f32[3]\nend\n", 5, ""),
        (f"{X}{END}output = x -> f32[3]\n", 6, ""),
        (f"{X}output = x -> f32[3]\n", 5, "it was cut"),
        (f"{X}output = x -> f32[3]\nend", 5, "it was cut"),
        (f'{X}sin(x, a="\ud800") -> f32[3]\n{END}', 4, ""),
    ],
)
def test_what_is_wrong_is_said_with_its_line(said, line, words):
    with pytest.raises(SnapshotError) as caught:
        read_snapshot(said)
    assert caught.value.line == line
    assert str(caught.value).startswith(f"line {line}: ")
    assert words in str(caught.value)
    assert _outcome(said) == "refused"


def test_the_text_around_those_is_read():
    """Control: what the cases above share is not what is wrong with them."""
    assert _outcome(X + END) == "read"


def test_line_ends_of_windows_are_read():
    assert read_snapshot(EXAMPLES[0].replace("\n", "\r\n")) == read_snapshot(EXAMPLES[0])


def test_notes_are_read_and_not_compared():
    plain, noted = (
        read_snapshot(X + END),
        read_snapshot((X + END).replace("1\n", "1\n# by: somebody\n# at: 3\n", 1)),
    )
    assert dict(noted.notes) == {"by": "somebody", "at": "3"}
    assert noted == plain


# -- texts that were cut or edited -------------------------------------------------------------------


@pytest.mark.parametrize("said", EXAMPLES, ids=range(len(EXAMPLES)))
def test_no_text_that_was_cut_is_read(said):
    for length in range(len(said)):
        assert _outcome(said[:length]) == "refused", said[:length][-60:]
    assert _outcome(said) == "read"


@pytest.mark.parametrize("said", EXAMPLES, ids=range(len(EXAMPLES)))
def test_lines_taken_out_doubled_or_exchanged(said):
    lines = said.splitlines(keepends=True)
    for n, line in enumerate(lines):
        _outcome("".join(lines[:n] + lines[n + 1 :]))
        _outcome("".join([*lines[:n], line, *lines[n:]]))
        _outcome("".join([*lines[: n + 1], "  " + line, *lines[n + 1 :]]))
        _outcome("".join([*lines[:n], *reversed(lines[n : n + 2]), *lines[n + 2 :]]))


_PIECES = [
    *" ()[]{}<>|:=~#@$_.,*/%?!^\"\\'-+0129ax\n\t\r\0",
    "\xe9",
    "\xb2",
    "\u0663",
    "\N{WHITE SQUARE}",
    "\u2028",
    "..",
    ":*",
]
_PIECES += [
    "~~",
    " = same as 0",
    "loop x2 passes\n",
    "[0:3]",
    "[0..3]",
    ":1..3",
    ":2",
    "$0",
    "@w",
    "_",
    " -> ",
    " | ",
    "  ",
]
_PIECES += [
    "return ",
    "return nothing",
    "input ",
    "output = ",
    "unused ",
    " writes ",
    "python",
    "end\n",
    "# a: b\n",
    "f32[3]",
]


def _edited(said, rng):
    for _ in range(rng.choice([1, 1, 2, 3])):
        at = rng.randrange(len(said) + 1)
        said = said[:at] + rng.choice(["", *_PIECES]) + said[at + rng.choice([0, 1, 1, 4]) :]
    return said


@pytest.mark.parametrize("seed", range(6))
def test_texts_that_were_edited(seed):
    rng = random.Random(seed)
    outcomes = {_outcome(_edited(rng.choice(EXAMPLES), rng)) for _ in range(150)}
    assert outcomes == {"read", "refused"}


@pytest.mark.long
@settings(max_examples=5_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(said=st.sampled_from(EXAMPLES), rng=st.randoms(use_true_random=True))
def test_many_texts_that_were_edited(said, rng):
    _outcome(_edited(said, rng))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from([*_PIECES, "x", "y", "sin(x)", "fc: Linear(_)\n", "\n", "\n  "])).map("".join)
)
@example("sin(x, a=_[0]1)")
@example("output.1 = x[0..3] -> f32[3]")
@example("sin(x) ->  | 32[]")
def test_any_line(line):
    _outcome(f"{X}{line}\n{END}")


@pytest.mark.parametrize(
    "lines",
    [
        "inner: T(x)\nsin(inner) -> f32[3]\n",
        "inner: T(x)\ncat([inner, x]) -> f32[3]\n",
        "m: S(x)\n  inner: T($0)\n  inner: T($0)\n    sin($0) -> f32[3]\n",
        "m: S(x)\n  sin($0) -> f32[3]\n  a: T($0)\n  b: T(a)\n",
        "fc: Linear $linear(x) -> f32[3]\n",
        "fc: Linear li#near(x) -> f32[3]\n",
        "add(@weight[1], _) -> f32[3] | weight[3]\n",
        "sin(x, a=_[0]1) -> f32[3]\n",
        "sin(x) ->  | 32[]\n",
        "alias(_, dtype=\N{WHITE SQUARE}32) -> f32[3]\n",
        "output.1 = _[0..3] -> f32[3]\n",
    ],
)
def test_what_is_read_is_what_is_said(lines):
    """Texts that nobody writes so: refused, or read as what their own text says."""
    _outcome(f"{X}{lines}output = _ -> f32[3]\nend\n")


# -- texts that are large ------------------------------------------------------------------------------

_MANY = 20_000
_LARGE = {
    "operands": f"sin({'x, ' * _MANY}x) -> f32[3]\n",
    "a name": f"input {'y' * _MANY} -> f32[3]\n",
    "blanks": " " * _MANY + "sin(x) -> f32[3]\n",
    "open brackets": f"sin({'(' * _MANY}\n",
    "nested brackets": f"sin({'[' * _MANY}{']' * _MANY}) -> f32[3]\n",
    "an open quote": 'sin(x, a="' + '\\"' * _MANY + ") -> f32[3]\n",
    "open quotes": "sin(x, a=" + '"' * (_MANY + 1) + ") -> f32[3]\n",
    "angles": f"sin(x, a={'<' * _MANY}) -> f32[3]\n",
    "colons": "a: " * _MANY + "\n",
    "equal signs": "a: B(x" + " = same as 0" * _MANY + "\n",
    "arrows": "sin(x)" + " -> " * _MANY + "\n",
    "bars": "sin(x)" + " | " * _MANY + "\n",
    "parameters": "sin(x) -> f32[3] | " + "w[3] " * _MANY + "w[3]\n",
    "no parameters": "sin(x) -> f32[3] | " + "w" * _MANY + "\n",
    "carried": f"loop x2 passes\n  sin({'x~' * _MANY}x) -> f32[3]\n",
    "tildes": f"loop x2 passes\n  sin(x{'~' * _MANY}x) -> f32[3]\n",
    "braces": "sin({" + "x, " * _MANY + "x}) -> f32[3]\n",
    "open braces": "sin({" + "x, " * _MANY + "x) -> f32[3]\n",
    "digits": f"sin(x, {'1' * _MANY}) -> f32[3]\n",
    "sizes": "sin(x) -> f32[" + "1, " * _MANY + "1]\n",
    "outputs in one": "output" + "t" * _MANY + " = " * _MANY + "x\n",
    "passes": f"loop x{'9' * 5000} passes\n  sin(x) -> f32[3]\n",
    "many passes": "loop x999999999 passes\n  sin(x) -> f32[3]\nstack([sin:*]) -> f32[3]\n",
    "a pass": f"loop x2 passes\n  sin(x) -> f32[3]\nneg(sin:{'9' * 5000}) -> f32[3]\n",
    "a run of passes": "loop x999999999 passes\n  sin(x) -> f32[3]\nstack([sin:1..999999998]) -> f32[3]\n",
    "a slot": f"neg(x[{'9' * 5000}]) -> f32[3]\n",
    "a run of results": "stack([x[0:999999999]]) -> f32[3]\n",
    "a number": f"sin#{'9' * 5000}(x) -> f32[3]\n",
    "a place outside": f"m: B(x)\n  sin(${'9' * 5000}) -> f32[3]\n",
    "elements": f"unused y | {'9' * 5000} params\n",
    "nested modules": "m: B(x)\n"
    + "".join("  " * n + "m: B($0)\n" for n in range(1, 600))
    + "  " * 600
    + "sin($0) -> f32[3]\n",
    "nested loops": "".join("  " * n + "loop x2 passes\n" for n in range(600))
    + "  " * 600
    + "sin(x) -> f32[3]\n",
    "equal siblings": "a0: A(x)\n  sin($0) -> f32[3]\n  cos($0) -> f32[3]\n"
    + "".join(f"a{n + 1}: A(_) = same as a{n}\n" for n in range(3000)),
    "outputs": "".join(f"output.{n} = x -> f32[3]\n" for n in range(5000)),
}


@pytest.mark.parametrize("said", _LARGE.values(), ids=_LARGE)
def test_large_texts_take_no_time_and_nothing_but_an_error(said):
    """None of them takes seconds or memory, let alone an hour."""
    end = "end\n" if said.startswith("output") else END
    started = time.process_time()
    _outcome(X + said + end)
    _outcome(X + said)
    assert time.process_time() - started < 5


@pytest.mark.parametrize("digits", ["9" * 5000, "1" * 400])
def test_a_format_that_is_no_number(digits):
    assert _outcome(f"# lens graph {digits}\nmodel M\nend\n") == "refused"
