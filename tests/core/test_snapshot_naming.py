"""Names: whatever a module, parameter, key or class is called, the text is read back and says another thing."""

import pytest
import torch
from snapshots import ROWS, block, model, text
from torch import nn

from torchlens_core.snapshot.naming import absolute_name, relative_name, written_name

#: Names that mean something in a file, or in Python, or in nobody's language.
ODD = [
    *[
        "a b",
        "#",
        "x#2",
        "a:b",
        "a: b",
        "\xfcn\xef",
        "0",
        "-1",
        "f32",
        "B",
        "None",
        "True",
        "nan",
        "loop",
        "return",
        "input",
    ],
    *[
        "output",
        "unused",
        "_",
        "python",
        "opaque",
        "same as",
        "model",
        "end",
        "constant",
        "*",
        "/",
        "/x",
        "^",
        "^x",
        "%",
        "%41",
    ],
    *[
        "$0",
        "@w",
        "a|b",
        "->",
        "=",
        "(x)",
        "(ReLU)",
        "*ReLU",
        "[0]",
        "{a, b}",
        "~",
        "a~b",
        "?",
        "!",
        "\n",
        "\t",
        "'",
        '"',
    ],
    *[
        "\N{WHITE SQUARE}",
        "\N{CJK UNIFIED IDEOGRAPH-4E2D}",
        "\U0001f642",
        " ",
        "<a>",
        "a,b",
        "x=1",
        "loop x2 passes",
        "...",
    ],
]
NAMES = [name for name in ODD if "." not in name]


def _linear(*names):
    return {name: nn.Linear(3, 3) for name in names}


def _distinct(texts):
    assert len(set(texts.values())) == len(texts), [
        name for name, one in texts.items() if list(texts.values()).count(one) > 1
    ]


def test_modules_of_any_name():
    def called(name):
        def forward(self, x):
            return self._modules[name](self._modules[name](x).relu()) + x

        return text(model(forward, **_linear(name)), ROWS)

    _distinct({name: called(name) for name in NAMES})


def test_blocks_of_any_name_and_weights_tied_to_them():
    def tied(name):
        inside, other = nn.Sequential(nn.Linear(3, 3), nn.Tanh()), nn.Linear(3, 3)
        other.weight = inside[0].weight
        return text(
            model(lambda self, x: self.other(self._modules[name](x)), **{name: inside, "other": other}),
            ROWS,
        )

    _distinct({name: tied(name) for name in NAMES})


def test_parameters_and_buffers_of_any_name():
    def held(name):
        one = model(lambda self, x: x * self._parameters[name] + self._buffers[f"{name}2"])
        one.register_parameter(name, nn.Parameter(torch.ones(3)))
        one.register_buffer(f"{name}2", torch.ones(3))
        return text(one, ROWS)

    _distinct({name: held(name) for name in NAMES})


def test_keys_of_any_name():
    def keyed(name):
        return text(
            model(lambda self, x, **more: {name: x[name] * 2, "z": [more[name]]}),
            {name: ROWS},
            **{name: ROWS + 1},
        )

    _distinct({name: keyed(name) for name in ODD})


def test_keys_that_are_no_words():
    keys = [0, "0", 1.5, "1.5", None, "None", (1, 2), "(1, 2)", True, b"a", "a"]
    written = text(model(lambda self, x: dict.fromkeys(keys, x + 1)), ROWS)
    names = [line.partition(" = ")[0] for line in written.split("\n") if line.startswith("output")]
    assert len(set(names)) == len({*keys}) == len(names)


def test_classes_of_any_name():
    def classed(name, base=nn.Module):
        one = type(name, (base,), {"forward": lambda self, x: (x + 1) * 2})()
        leaf = type(name, (nn.Linear,), {})(3, 3)
        return text(nn.Sequential(one, leaf), ROWS) + text(one, ROWS)

    _distinct({name: classed(name) for name in NAMES})


def test_two_inputs_of_one_name():
    def forward(self, x, **more):
        return x["a"] * 2 + more["x.a"]

    written = text(model(forward), {"a": ROWS}, **{"x.a": ROWS + 1})
    names = [line.split()[1] for line in written.split("\n") if line.startswith("input")]
    assert len(names) == len(set(names)) == 2


def test_arguments_after_a_star_are_called_by_their_number():
    def forward(self, first, *more, mask=None):
        return first + more[0] * more[1] * mask

    written = text(model(forward), ROWS, ROWS + 1, ROWS + 2, mask=ROWS + 3)
    names = [line.split()[1] for line in written.split("\n") if line.startswith("input")]
    assert names == ["first", "more.0", "more.1", "mask"]


def test_ops_that_are_called_as_modules_and_inputs_are():
    def forward(self, add, mul, constant):
        return self.add(add + mul) * constant + torch.ones(3)

    written = text(
        model(forward, add=nn.Linear(3, 3), mul=block(lambda self, x: x * 2)), ROWS, ROWS + 1, ROWS + 2
    )
    assert "\nadd(add, mul) -> " in written
    assert "\nadd#3: Linear linear(_) -> " in written
    assert "\nmul#2(_, constant) -> " in written


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_written_in_one_word(name):
    written = written_name(name)
    assert written
    assert not set(written) & set(" ()[]{}<>|:=~#@$,/?!^\"\\'\n\t")


@pytest.mark.parametrize("module", ["", "a", "a.b", "a.b.c", "ab", "d"])
@pytest.mark.parametrize("address", ["a", "a.b", "a.b.c", "a.b.d", "a.bc", "ab.c", "d.e.f", "e"])
def test_a_relative_name_leads_back(address, module):
    assert absolute_name(relative_name(address, module), module) == address
