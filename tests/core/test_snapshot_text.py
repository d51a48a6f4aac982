"""The text of small models, line by line: every form that a line can have."""

import torch
from snapshots import ROWS, block, model, text
from torch import nn


def test_leaf_modules_and_their_op_share_a_line():
    layers = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True)
    )
    expected = """\
model Sequential, training
input input -> f32[1, 3, 8, 8]
0: Conv2d conv2d(_, stride=2, padding=1) -> f32[1, 4, 4, 4] | weight[4, 3, 3, 3]
1: BatchNorm2d(_)
  add_(@num_batches_tracked, other=1) -> i64[] | buffers num_batches_tracked[]
  batch_norm($0, training=True) -> f32[1, 4, 4, 4] writes f32[4], f32[4] | weight[4] bias[4] | buffers running_mean[4] running_var[4]
2: ReLU relu_(_) -> f32[1, 4, 4, 4]
output = _ -> f32[1, 4, 4, 4]
end
"""  # noqa: E501
    assert text(layers, torch.rand(1, 3, 8, 8)) == expected


def test_equal_siblings_are_one_line():
    blocks = nn.Sequential(*[nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3)) for _ in range(3)])
    expected = """\
model Sequential, training
input input -> f32[2, 3]
0: Sequential(_)
  0: Sequential($0)
    0: Linear linear($0) -> f32[2, 3] | weight[3, 3] bias[3]
    1: ReLU relu(_) -> f32[2, 3]
    2: Linear linear(_) -> f32[2, 3] | weight[3, 3] bias[3]
  1: Sequential(_) = same as 0
  2: Sequential(_) = same as 1
1: Tanh tanh(_) -> f32[2, 3]
output = _ -> f32[2, 3]
end
"""
    assert text(nn.Sequential(blocks, nn.Tanh()), ROWS) == expected


def test_a_block_of_other_size_is_not_the_same():
    narrow, wide = (nn.Sequential(nn.Linear(3, width), nn.Linear(width, 3)) for width in (4, 5))
    expected = """\
model Sequential, training
input input -> f32[2, 3]
0: Sequential(_)
  0: Linear linear($0) -> f32[2, 4] | weight[4, 3] bias[4]
  1: Linear linear(_) -> f32[2, 3] | weight[3, 4] bias[3]
1: Sequential(_)
  0: Linear linear($0) -> f32[2, 5] | weight[5, 3] bias[5]
  1: Linear linear(_) -> f32[2, 3] | weight[3, 5] bias[3]
0#2: Sequential(_) = same as 0
output = _ -> f32[2, 3]
end
"""
    assert text(nn.Sequential(narrow, wide, narrow), ROWS) == expected


def test_values_from_outside_are_numbered_as_they_were_given():
    def forward(self, x, y):
        return self.inner(x, y) + self.inner(y, x)

    inner = block(lambda self, a, b: b - a * 2)
    expected = """\
model Model
input x -> f32[2, 3]
input y -> f32[2, 3]
inner: Block(x, _)
  mul($0, other=2) -> f32[2, 3]
  sub($1, _) -> f32[2, 3]
inner#2: Block(y, x) = same as inner
add(inner, _) -> f32[2, 3]
output = _ -> f32[2, 3]
end
"""
    assert text(model(forward, inner=inner), ROWS, ROWS + 1) == expected


def test_several_results_and_what_is_returned_untouched():
    inner = block(lambda self, a: (a + 1, a, a * 2))

    def forward(self, x):
        more, same, twice = self.inner(x)
        return more * twice + same

    expected = """\
model Model
input x -> f32[2, 3]
inner: Block(_)
  add($0, other=1) -> f32[2, 3]
  mul($0, other=2) -> f32[2, 3]
  return add, $0, _
mul(_[0], _[2]) -> f32[2, 3]
add(_, x) -> f32[2, 3]
output = _ -> f32[2, 3]
end
"""
    assert text(model(forward, inner=inner), ROWS) == expected


def test_a_result_that_nobody_returned_is_one_when_it_is_read_outside():
    def inner(self, a):
        self.kept = a * 3
        return a + 1

    def forward(self, x):
        return self.inner(x), self.inner.kept * 2

    expected = """\
model Model
input x -> f32[2, 3]
inner: Block(_)
  mul($0, other=3) -> f32[2, 3]
  add($0, other=1) -> f32[2, 3]
  return _, mul
mul(_[1], other=2) -> f32[2, 3]
output.0 = inner[0] -> f32[2, 3]
output.1 = _ -> f32[2, 3]
end
"""
    assert text(model(forward, inner=block(inner)), ROWS) == expected


def test_written_results_and_buffers():
    expected = """\
model BatchNorm1d, training
input input -> f32[2, 3]
add_(@num_batches_tracked, other=1) -> i64[] | buffers num_batches_tracked[]
batch_norm(input, training=True) -> f32[2, 3] writes f32[3], f32[3] | weight[3] bias[3] | buffers running_mean[3] running_var[3]
output = _[0] -> f32[2, 3]
end
"""  # noqa: E501
    assert text(nn.BatchNorm1d(3).train(), ROWS) == expected


def test_what_is_overwritten_whole_is_named():
    def forward(self, x):
        self.seen.copy_(x[0])
        return x * self.scale

    one = model(forward)
    one.register_buffer("seen", torch.zeros(3))
    one.scale = nn.Parameter(torch.ones(3))
    expected = """\
model Model
input x -> f32[2, 3]
getitem(_, [0]) -> f32[3]
copy_(@seen!, _) -> f32[3] | buffers seen[3]
mul(x, @scale) -> f32[2, 3] | scale[3]
output = _ -> f32[2, 3]
end
"""
    assert text(one, ROWS) == expected


def test_writes_in_place_and_contents_of_several_writers():
    def forward(self, x):
        y = x.clone()
        y[:, 0] = x[:, 1]
        y[1].mul_(2)
        return y + 1

    expected = """\
model Model
input x -> f32[2, 3]
clone(_) -> f32[2, 3]
getitem(x, [:, 1]) -> f32[2]
setitem(clone!, [:, 0], _) writes f32[2, 3]
getitem({clone, _}, [1]) -> f32[3]
mul_(_, other=2) -> f32[3]
add({clone, setitem, _}, other=1) -> f32[2, 3]
output = _ -> f32[2, 3]
end
"""
    assert text(model(forward), ROWS) == expected


def test_one_memory_as_two_inputs():
    whole = torch.rand(4)
    expected = """\
model Model
input x -> f32[4]
input y(_) -> f32[3]
mul(x, other=2) -> f32[4]
output = _ -> f32[4]
end
"""
    assert text(model(lambda self, x, y: x * 2), whole, whole[1:]) == expected


def test_tied_weights_are_read_under_the_name_of_the_first():
    def forward(self, ids):
        return self.head(self.embedding(ids))

    one = model(forward, embedding=nn.Embedding(5, 3), head=nn.Linear(3, 5, bias=False))
    one.head.weight = one.embedding.weight
    expected = """\
model Model
input ids -> i64[2]
embedding: Embedding embedding(_) -> f32[2, 3] | weight[5, 3]
head: Linear linear(_, @/embedding.weight) -> f32[2, 5] | /embedding.weight[5, 3]
output = _ -> f32[2, 5]
end
"""
    assert text(one, torch.tensor([1, 2])) == expected


def test_what_a_block_shares_is_seen_from_it():
    def scaled():
        one = block(lambda self, x: x * self.inner(x))
        one.scale = nn.Parameter(torch.ones(3))
        one.inner = block(lambda self, x, scale=one.scale: x + scale)
        return one

    expected = """\
model Sequential, training
input input -> f32[2, 3]
0: Block(_) | eval
  inner: Block add($0, @^scale) -> f32[2, 3] | ^scale[3]
  mul($0, _) -> f32[2, 3]
1: Block(_) | eval = same as 0
output = _ -> f32[2, 3]
end
"""
    assert text(nn.Sequential(scaled(), scaled()), ROWS) == expected


def test_parameters_that_the_model_does_not_know():
    strange = [nn.Linear(3, 3), nn.Linear(3, 3)]
    one = model(lambda self, x: strange[1](strange[0](x)) @ strange[0].weight)
    expected = """\
model Model
input x -> f32[2, 3]
*Linear: Linear linear(_, @/*1, @/*2) -> f32[2, 3] | /*1[3, 3] /*2[3] | training
*Linear#2: Linear linear(_, @/*3, @/*4) -> f32[2, 3] | /*3[3, 3] /*4[3] | training
matmul(_, @*1) -> f32[2, 3] | *1[3, 3]
output = _ -> f32[2, 3]
end
"""
    assert text(one, ROWS) == expected


def test_parameters_that_nobody_reads():
    def forward(self, x):
        return self.used[0](x)

    one = model(
        forward,
        used=nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 400)),
        other=nn.Sequential(nn.Linear(3, 4)),
    )
    one.alone = nn.Parameter(torch.ones(7))
    expected = """\
model Model
input x -> f32[2, 3]
used.0: Linear linear(_) -> f32[2, 3] | weight[3, 3] bias[3]
output = _ -> f32[2, 3]
unused model | 7 params
unused used.1 | 1,600 params
unused other | 16 params
end
"""
    assert text(one, ROWS) == expected


def test_modules_called_twice_under_two_names_and_made_on_the_spot():
    def forward(self, x):
        return nn.ReLU()(self.second(self.first(self.first(x))))

    shared = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
    expected = """\
model Model
input x -> f32[2, 3]
first: Sequential(_)
  0: Linear linear($0) -> f32[2, 3] | weight[3, 3] bias[3]
  1: Tanh tanh(_) -> f32[2, 3]
first#2: Sequential(_) = same as first
first#3: Sequential(_) = same as first#2
*ReLU: ReLU relu(_) -> f32[2, 3] | training
output = _ -> f32[2, 3]
end
"""
    assert text(model(forward, first=shared, second=shared), ROWS) == expected


def test_a_module_that_calls_itself():
    def forward(self, x, depth=2):
        return self.fc(x) if not depth else self(x, depth - 1).tanh()

    expected = """\
model Model
input x -> f32[2, 3]
/: Model(_)
  /: Model($0)
    fc: Linear linear($0) -> f32[2, 3] | weight[3, 3] bias[3]
  tanh(_) -> f32[2, 3]
tanh(_) -> f32[2, 3]
output = _ -> f32[2, 3]
end
"""
    assert text(model(forward, fc=nn.Linear(3, 3)), ROWS) == expected


def test_modes_other_than_around():
    layers = nn.Sequential(nn.Dropout(0.3), nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.2))).train()
    layers[1].eval()
    expected = """\
model Sequential, training
input input -> f32[2, 3]
0: Dropout dropout(_, p=0.3) -> f32[2, 3]
1: Sequential(_) | eval
  0: Linear linear($0) -> f32[2, 3] | weight[3, 3] bias[3]
  1: Dropout dropout(_, p=0.2, training=False) -> f32[2, 3]
output = _ -> f32[2, 3]
end
"""
    assert text(layers, ROWS) == expected


def test_inputs_and_outputs_in_containers():
    def forward(self, batch, more, *, mask=None, **rest):
        return {"sum": batch["ids"] + more, "list": [mask * 2, (rest["a b"],)], "none": None, 3: mask}

    one = torch.ones(2)
    expected = """\
model Model
input batch.ids -> f32[2]
input batch.%220.0(_) -> f32[2]
input more -> f32[2]
input mask(batch.%220.0) -> f32[2]
input a%20b -> f32[2]
add(mask, more) -> f32[2]
mul(mask, other=2) -> f32[2]
output.sum = add -> f32[2]
output.list.0 = _ -> f32[2]
output.list.1.0 = a%20b -> f32[2]
output.3 = mask -> f32[2]
end
"""
    assert (
        text(model(forward), {"ids": one, "0": [one]}, one + 1, **{"mask": one, "a b": one * 3}) == expected
    )


def test_values_that_leave_the_graph():
    def forward(self, x):
        if x.sum() > 100:
            x = x * 2
        return x * x.shape[0] + len(x.tolist())

    expected = """\
model Model
input x -> f32[2, 3]
sum(_) -> f32[]
gt(_, other=100) -> bool[]
bool(_) -> python
mul(x, other=2) -> f32[2, 3]
tolist(x) -> python
add(mul, other=2) -> f32[2, 3]
output = _ -> f32[2, 3]
end
"""
    assert text(model(forward), ROWS) == expected


def test_opaque_ops():
    def forward(self, x):
        return torch.vmap(torch.sin)(x), torch.func.grad(lambda y: y.sum())(x)

    expected = """\
model Model
input x -> f32[2, 3]
vmap(_) -> f32[2, 3] | opaque
grad(x) -> f32[2, 3] | opaque
output.0 = vmap -> f32[2, 3]
output.1 = _ -> f32[2, 3]
end
"""
    assert text(model(forward), ROWS) == expected


def test_autograd_functions_are_looked_into():
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, options):
            return x * 2

        @staticmethod
        def backward(ctx, gradient):
            return gradient * 2, None

    expected = """\
model Model
input x -> f32[2, 3]
mul(_, other=2) -> f32[2, 3]
output = _ -> f32[2, 3]
end
"""
    assert text(model(lambda self, x: Twice.apply(x, {"a": 1})), ROWS) == expected


def test_scripts_are_one_op():
    expected = """\
model Sequential, training
input input -> f32[2, 3]
0: RecursiveScriptModule forward(_) -> f32[2, 3] | opaque
output = _ -> f32[2, 3]
end
"""
    assert text(nn.Sequential(torch.jit.script(nn.Sequential(nn.ReLU(), nn.Tanh()))), ROWS) == expected


def test_runs_of_results():
    def forward(self, x):
        rows = x.unbind()
        return torch.stack(rows), torch.stack(rows[1:6] + rows[:2]), torch.cat([*rows[::2], rows[0]])

    expected = """\
model Model
input x -> f32[8, 2]
unbind(_) -> f32[2] x8
stack([unbind[0:8]]) -> f32[8, 2]
stack#2([unbind[1:6], unbind[0], unbind[1]]) -> f32[7, 2]
cat([unbind[0], unbind[2], unbind[4], unbind[6], unbind[0]]) -> f32[10]
output.0 = stack -> f32[8, 2]
output.1 = stack#2 -> f32[7, 2]
output.2 = _ -> f32[10]
end
"""
    assert text(model(forward), torch.rand(8, 2)) == expected


def test_a_dtype_of_parameters_that_differs_is_said():
    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            return self.fc(x)

    expected = """\
model Model
input x -> f32[2, 3]
fc: Linear linear(_) -> bf16[2, 3] | weight:f32[3, 3] bias:f32[3]
output = _ -> bf16[2, 3]
end
"""
    assert text(model(forward, fc=nn.Linear(3, 3)), ROWS) == expected


def test_a_batch_size_that_is_named():
    def forward(self, x):
        return (x.reshape(7, -1, 1) + torch.zeros(7, 3, 1)).expand(7, 3, 7)

    expected = """\
model Model
input x -> f32[B, 3]
reshape(_, shape=(B, -1, 1)) -> f32[B, 3, 1]
zeros(size=(B, 3, 1)) -> f32[B, 3, 1]
add(reshape, _) -> f32[B, 3, 1]
expand(_, size=(B, 3, 7)) -> f32[B, 3, 7]
output = _ -> f32[B, 3, 7]
end
"""
    assert text(model(forward), torch.rand(7, 3), batch=7) == expected


def test_models_that_do_nothing():
    expected = """\
model Identity, training
input input -> f32[2, 3]
output = _ -> f32[2, 3]
end
model Model
end
"""
    assert text(nn.Identity(), ROWS) + text(model(lambda self: None)) == expected
