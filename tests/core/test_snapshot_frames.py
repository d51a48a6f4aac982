"""Which values cross the borders of blocks, and where constants stand."""

import torch
from snapshots import ROWS, block, model, text
from torch import nn


def test_a_constant_of_one_block_stands_in_it():
    numbers = torch.ones(3)
    inner = block(lambda self, x: x * numbers)
    expected = """\
model Sequential, training
input input -> f32[2, 3]
0: Block(_) | eval
  constant() -> f32[3]
  mul($0, _) -> f32[2, 3]
1: Tanh tanh(_) -> f32[2, 3]
output = _ -> f32[2, 3]
end
"""
    assert text(nn.Sequential(inner, nn.Tanh()), ROWS) == expected


class TakesOneOfTwo(nn.Module):
    """Leaves a constant that its block returns."""

    def __init__(self):
        super().__init__()
        numbers = torch.ones(3)
        self.both = block(lambda self, x: (x + 1, numbers))

    def forward(self, x):
        return self.both(x)[0] * 2


def test_a_constant_that_a_block_returns_and_nobody_reads():
    expected = """\
model TakesOneOfTwo, training
input x -> f32[2, 3]
both: Block(_) | eval
  add($0, other=1) -> f32[2, 3]
  constant() -> f32[3]
  return add, _
mul(_[0], other=2) -> f32[2, 3]
output = _ -> f32[2, 3]
end
"""
    assert text(TakesOneOfTwo(), ROWS) == expected


def test_a_constant_of_several_blocks_stands_before_them():
    numbers = torch.ones(3)
    first, second = (block(lambda self, x: (x * numbers).sin()) for _ in range(2))
    expected = """\
model Sequential, training
input input -> f32[2, 3]
0: Tanh tanh(_) -> f32[2, 3]
1: Sequential(_)
  constant() -> f32[3]
  0: Block($0, _) | eval
    mul($0, $1) -> f32[2, 3]
    sin(_) -> f32[2, 3]
  1: Block(_, constant) | eval = same as 0
output = _ -> f32[2, 3]
end
"""
    assert text(nn.Sequential(nn.Tanh(), nn.Sequential(first, second)), ROWS) == expected


def test_a_value_of_a_block_that_another_reads():
    kept = []
    first = block(lambda self, x: (kept.append(x * 2), x + 1)[1])
    second = block(lambda self, x: x * kept[0])
    expected = """\
model Sequential, training
input input -> f32[2, 3]
0: Sequential(_)
  0: Block($0) | eval
    mul($0, other=2) -> f32[2, 3]
    add($0, other=1) -> f32[2, 3]
    return _, mul
1: Block mul(_[0], _[1]) -> f32[2, 3] | eval
output = _ -> f32[2, 3]
end
"""
    assert text(nn.Sequential(nn.Sequential(first), second), ROWS) == expected


def test_what_is_read_from_two_levels_out():
    inner = nn.Sequential(nn.Sequential(nn.Tanh()))

    def forward(self, x):
        kept = x * 2
        self.inner[0][0].register_forward_hook(lambda module, args, out: out + kept)
        return self.inner(x)

    expected = """\
model Model
input x -> f32[2, 3]
mul(_, other=2) -> f32[2, 3]
inner: Sequential(x, _)
  0: Sequential($0, $1)
    0: Tanh($0, $1)
      tanh($0) -> f32[2, 3]
      add(_, $1) -> f32[2, 3]
output = _ -> f32[2, 3]
end
"""
    assert text(model(forward, inner=inner), ROWS) == expected


def test_arguments_stand_in_the_order_in_which_they_were_given_not_read():
    inner = block(lambda self, a, b, c: (c.sin() + b) * a)
    expected = """\
model Model
input x -> f32[2, 3]
input y -> f32[2, 3]
add(x, _) -> f32[2, 3]
inner: Block(x, y, _)
  sin($2) -> f32[2, 3]
  add(_, $1) -> f32[2, 3]
  mul(_, $0) -> f32[2, 3]
output = _ -> f32[2, 3]
end
"""
    assert text(model(lambda self, x, y: self.inner(x, y, x + y), inner=inner), ROWS, ROWS + 1) == expected
