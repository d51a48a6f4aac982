"""Every code block of the seed README runs as it stands, and what it prints looks as it did there."""

import linecache
import re

import pytest
import torch
from torch import nn

import torchlens_core as tl
from torchlens_core.draw import display

RECURRENT = """
class SimpleRecurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(5, 5)

    def forward(self, x):
        for _ in range(4):
            x = self.fc(x)
            x = x + 1
            x = x * 2
        return x

simple_recurrent = SimpleRecurrent()
model_history = tl.log_forward_pass(simple_recurrent, x, layers_to_save='all', vis_opt='rolled')
"""
QUICKSTART = """
alexnet = torchvision.models.alexnet()
x = torch.rand(1, 3, 224, 224)
model_history = tl.log_forward_pass(alexnet, x, layers_to_save='all', vis_opt='unrolled')
"""
SOME_LAYERS = (
    "tl.log_forward_pass(alexnet, x, vis_opt='unrolled', "
    "layers_to_save=['conv2d_3_7', 'features', -5, 'linear'])"
)
#: As printed in the seed README, its slip ``dype=`` mended.
LAYER = """\
Layer conv2d_3_7, operation 8/24:
	Output tensor: shape=(1, 384, 13, 13), dtype=torch.float32, size=253.5 KB
		tensor([[ 0.0503, -0.1089, -0.1210, -0.1034, -0.1254],
        [ 0.0789, -0.0752, -0.0581, -0.0372, -0.0181],
        [ 0.0949, -0.0780, -0.0401, -0.0209, -0.0095],
        [ 0.0929, -0.0353, -0.0220, -0.0324, -0.0295],
        [ 0.1100, -0.0337, -0.0330, -0.0479, -0.0235]])...
	Params: Computed from params with shape (384,), (384, 192, 3, 3); 663936 params total (2.5 MB)
	Parent Layers: maxpool2d_2_6
	Child Layers: relu_3_8
	Function: conv2d (gradfunc=ConvolutionBackward0) \n\
	Computed inside module: features.6
	Time elapsed:  5.670E-04s
	Output of modules: features.6
	Output of bottom-level module: features.6
	Lookup keys: -17, 7, conv2d_3_7, conv2d_3_7:1, features.6, features.6:1
"""
CONTENTS = """\
tensor([[[[-0.0867, -0.0787, -0.0817,  ..., -0.0820, -0.0655, -0.0195],
          [-0.1213, -0.1130, -0.1386,  ..., -0.1331, -0.1118, -0.0520],
          [-0.0959, -0.0973, -0.1078,  ..., -0.1103, -0.1091, -0.0760],
          ...,
          [-0.0906, -0.1146, -0.1308,  ..., -0.1076, -0.1129, -0.0689],
          [-0.1017, -0.1256, -0.1100,  ..., -0.1160, -0.1035, -0.0801],
          [-0.1006, -0.0941, -0.1204,  ..., -0.1146, -0.1065, -0.0631]]
"""
SAVED = ["conv2d_3_7", "maxpool2d_3_13", "linear_1_17", "dropout_2_19", "linear_2_20", "linear_3_22"]
#: Lines around the call in torchvision's alexnet.py, as the seed README shows them.
CONTEXT = [
    "            nn.Linear(256 * 6 * 6, 4096),\n",
    "            nn.ReLU(inplace=True),\n",
    "            nn.Dropout(p=dropout),\n",
    "            nn.Linear(4096, 4096),\n",
    "            nn.ReLU(inplace=True),\n",
    "            nn.Linear(4096, num_classes),\n",
    "        )\n",
    "\n",
    "    def forward(self, x: torch.Tensor) -> torch.Tensor:\n",
    "        x = self.features(x)\n",
    "        x = self.avgpool(x)\n",
    "        x = torch.flatten(x, 1)\n",
    "        x = self.classifier(x)\n",
    "        return x\n",
    "\n",
    "\n",
    "class AlexNet_Weights(WeightsEnum):\n",
    "    IMAGENET1K_V1 = Weights(\n",
    '        url="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",\n',
]

_NUMBER = re.compile(r"(?:(?<=[\[ ])|^) ?-?\d+\.\d+(?:E[+-]\d+)?(?=[,\]s])")


def unlike(text: str, expected: str) -> list[str]:
    """The lines of ``text`` that differ from those expected in more than activations and times."""
    patterns = [
        r"\s*-?\d+\.\d+(?:[eE][+-]\d+)?".join(map(re.escape, _NUMBER.split(line)))
        for line in expected.splitlines()
    ]
    lines = text.splitlines()
    wrong = [
        line for line, pattern in zip(lines, patterns, strict=False) if not re.fullmatch(pattern, line)
    ]
    return wrong + ([] if len(lines) == len(patterns) else [f"{len(lines)} lines, not {len(patterns)}"])


@pytest.fixture(autouse=True)
def opened(tmp_path, monkeypatch):
    """Pictures land in a folder of the test's own, and are not shown: their names are listed."""
    shown: list[str] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(display, "_open", lambda drawn, *_: shown.append(str(drawn)))
    return shown


@pytest.fixture(scope="module")
def seed():
    """The names that the README's blocks share."""
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    alexnet = torchvision.models.alexnet()
    x = torch.rand(1, 3, 224, 224)
    return {"alexnet": alexnet, "x": x, "tl": tl, "model_history": tl.log_forward_pass(alexnet, x)}


class TestTheComparison:
    def test_takes_other_activations_and_times(self):
        assert unlike(LAYER.replace("0.0503", "7.1250").replace("5.670E-04", "1.000E+00"), LAYER) == []

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("8/24", "8/25"),
            ("253.5 KB", "259584"),
            ("Parent Layers", "Parents"),
            ("663936", "663937"),
            ("features.6:1", "features.6"),
            ("\t\ttensor", "\ttensor"),
            ("\tChild Layers: relu_3_8\n", ""),
        ],
    )
    def test_sees_another_layout(self, old, new):
        assert unlike(LAYER.replace(old, new), LAYER)


def test_simple_recurrent(opened, tmp_path):
    names = {"nn": nn, "tl": tl, "x": torch.rand(1, 5)}
    exec(RECURRENT, names)
    history = names["model_history"]
    assert history.model_is_recurrent
    assert history.layer_num_passes == {
        "input_1": 1,
        "linear_1_1": 4,
        "add_1_2": 4,
        "mul_1_3": 4,
        "output_1": 1,
    }
    assert opened == ["graph.gv.pdf"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["graph.gv", "graph.gv.pdf"]


def test_quickstart(opened):
    names = {"torch": torch, "torchvision": pytest.importorskip("torchvision"), "tl": tl}
    exec(QUICKSTART, names)
    assert isinstance(names["model_history"], tl.ModelHistory)
    assert names["model_history"].num_operations == 24
    assert opened == ["graph.gv.pdf"]


def test_layer_by_name(seed):
    assert unlike(str(seed["model_history"]["conv2d_3_7"]), LAYER) == []


def test_layer_by_module_and_by_index(seed):
    history = seed["model_history"]
    assert history["features.6"] == history["conv2d_3_7"] == history[7]
    assert unlike(str(history["features.6"]), LAYER) == []
    assert unlike(str(history[7]), LAYER) == []


def test_activations(seed):
    printed = str(seed["model_history"]["conv2d_3_7"].tensor_contents)
    shown = printed[: printed.index("]]") + 2]
    assert unlike(shown, CONTENTS) == []


def test_some_layers_saved(seed, opened):
    history = eval(SOME_LAYERS, dict(seed))
    assert history.layer_labels == SAVED
    assert history.layers_with_saved_activations == SAVED


def test_call_stack(seed):
    stack = seed["model_history"]["conv2d_3"].func_call_stack
    assert list(stack[8]) == ["call_fname", "call_linenum", "function", "code_context"]
    frame = next(frame for frame in stack if frame["call_fname"].endswith("alexnet.py"))
    assert frame["function"] == "forward"
    at = frame["call_linenum"]
    assert frame["code_context"] == linecache.getlines(frame["call_fname"])[at - 10 : at + 9]
    assert frame["code_context"][8:14] == CONTEXT[8:14]
    assert len(frame["code_context"]) == len(CONTEXT)


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (tl.log_forward_pass, tl.ModelHistory),
        (tl.get_model_metadata, tl.ModelHistory),
        (tl.validate_model_activations, tl.ValidationReport),
    ],
)
def test_api_reference(function, kind):
    assert isinstance(function(nn.Linear(4, 3), torch.rand(2, 4)), kind)


def test_show_model_graph(opened):
    assert tl.show_model_graph(nn.Linear(4, 3), torch.rand(2, 4)) is None
    assert opened == ["graph.gv.pdf"]


def test_vis_nesting_depth(tmp_path):
    model = nn.Sequential(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Tanh()))
    tl.log_forward_pass(model, torch.rand(2, 4), vis_opt="unrolled", vis_nesting_depth=1)
    source = (tmp_path / "graph.gv").read_text(encoding="utf-8")
    assert "3 ops" in source
    assert "relu" not in source
