"""The models that benchmarks/pictures.py draws: torchvision's, and small ones that show one thing each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional


class LSTMLoop(nn.Module):
    """A loop: one LSTM cell, run once a step."""

    def __init__(self, steps: int = 8) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(32, 64)
        self.answer = nn.Linear(64, 10)
        self.steps = steps

    def forward(self, x: Tensor) -> Tensor:
        hidden, cell = x.new_zeros(1, 64), x.new_zeros(1, 64)
        for _ in range(self.steps):
            hidden, cell = self.cell(x, (hidden, cell))
        return self.answer(hidden)


class TreeNet(nn.Module):
    """Recursion: the same layers join the two halves of a sequence, and of each half."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.leaf = nn.Linear(8, width)
        self.join = nn.Linear(2 * width, width)

    def forward(self, words: Tensor) -> Tensor:
        if len(words) == 1:
            return torch.tanh(self.leaf(words[0]))
        middle = len(words) // 2
        return torch.tanh(
            self.join(torch.cat([self.forward(words[:middle]), self.forward(words[middle:])]))
        )


class Expert(nn.Module):
    """Two linear layers."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(functional.gelu(self.up(x)))


class Experts(nn.Module):
    """A mixture: a router weighs the two best of four experts for each token."""

    def __init__(self, width: int = 32, experts: int = 4) -> None:
        super().__init__()
        self.router = nn.Linear(width, experts)
        self.experts = nn.ModuleList(Expert(width) for _ in range(experts))

    def forward(self, x: Tensor) -> Tensor:
        weights, chosen = torch.topk(self.router(x).softmax(-1), 2)
        out = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            token, rank = torch.where(chosen == number)
            out = out.index_add(0, token, expert(x[token]) * weights[token, rank, None])
        return out


class Masked(nn.Module):
    """A transformer whose target tokens see their neighbours only: a mask that every layer of the decoder reads."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.embed = nn.Embedding(100, width)
        self.transformer = nn.Transformer(width, 4, 6, 6, 64, batch_first=True)
        self.answer = nn.Linear(width, 100)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        places = torch.arange(target.shape[1])
        is_far = (places[:, None] - places).abs() > 1
        seen = self.transformer(self.embed(source), self.embed(target), tgt_mask=is_far)
        return self.answer(seen)


class Branches(nn.Module):
    """Three branches; ``edited`` has another activation, a wider middle branch, and a norm in the last."""

    def __init__(self, edited: bool = False) -> None:
        super().__init__()
        act = nn.GELU if edited else nn.ReLU
        width = 24 if edited else 16
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU())
        self.narrow = nn.Sequential(nn.Conv2d(16, 16, 1), act())
        self.middle = nn.Sequential(nn.Conv2d(16, width, 3, padding=1), nn.ReLU())
        norm = [nn.BatchNorm2d(16)] if edited else []
        self.wide = nn.Sequential(nn.Conv2d(16, 16, 5, padding=2), *norm, nn.ReLU())
        self.blocks = nn.Sequential(*(Residual(32 + width) for _ in range(4)))
        self.answer = nn.Linear(32 + width, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(image)
        x = torch.cat([self.narrow(x), self.middle(x), self.wide(x)], 1)
        return self.answer(self.blocks(x).mean((2, 3)))


class Residual(nn.Module):
    """A block with a skip connection."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.norm(self.conv(x)))


class Chain(nn.Module):
    """Ops in a row, every fifth of which also reads what the fifth before it returned."""

    def __init__(self, ops: int = 20_000) -> None:
        super().__init__()
        self.rounds = ops // 5

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.rounds):
            skipped = x
            x = x + 1
            x = x * 2
            x = x - 1
            x = x / 2
            x = x + skipped
        return x


#: A model, and the arguments of its forward pass.
Drawn = tuple[nn.Module, tuple[Any, ...]]


def _vision(name: str, size: int = 224, **options: Any) -> Callable[[], Drawn]:
    def build() -> Drawn:
        return torchvision.models.get_model(name, weights=None, **options), (torch.rand(1, 3, size, size),)

    return build


MODELS: dict[str, Callable[[], Drawn]] = {
    "alexnet": _vision("alexnet"),
    "resnet18": _vision("resnet18"),
    "googlenet": _vision("googlenet", init_weights=False),
    "densenet201": _vision("densenet201"),
    "vit_b_16": _vision("vit_b_16"),
    "swin_v2_b": _vision("swin_v2_b", 256),
    "fasterrcnn_resnet50_fpn": _vision("fasterrcnn_resnet50_fpn", weights_backbone=None),
    "lstm_loop": lambda: (LSTMLoop(), (torch.rand(1, 32),)),
    "tree": lambda: (TreeNet(), (torch.rand(8, 8),)),
    "experts": lambda: (Experts(), (torch.rand(12, 32),)),
    "masked": lambda: (Masked(), (torch.randint(100, (2, 7)), torch.randint(100, (2, 5)))),
    "branches": lambda: (Branches(), (torch.rand(1, 3, 32, 32),)),
    "chain": lambda: (Chain(), (torch.rand(4),)),
}


def drawn(name: str) -> Drawn:
    """A model in eval mode, and its arguments; the same weights each time."""
    torch.manual_seed(0)
    model, args = MODELS[name]()
    return model.eval(), args


def logged_diff(tl: Any) -> tuple[Any, Any]:
    """Histories of `Branches` before and after the edit."""
    image = torch.rand(1, 3, 32, 32)
    before, after = (tl.log_forward_pass(Branches(edited).eval(), image) for edited in (False, True))
    return before, after
