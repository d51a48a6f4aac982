"""Nets that go through time step by step, by cells of their own."""

# mypy: no-warn-return-any
# (what a module returns is Any in torch)

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ElmanNet(nn.Module):
    """Context units keep the hidden units of the step before.

    J. L. Elman: Finding Structure in Time. Cognitive Science 14(2), 1990.
    """

    def __init__(self, symbols: int = 6, width: int = 8) -> None:
        super().__init__()
        self.width = width
        self.inward = nn.Linear(symbols, width)
        self.context = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, symbols)

    def forward(self, x: Tensor) -> Tensor:
        """Predictions of the next symbol f32[N, T, symbols] of f32[N, T, symbols]."""
        context = x.new_full((len(x), self.width), 0.5)
        predictions = []
        for step in x.unbind(1):
            context = torch.sigmoid(self.inward(step) + self.context(context))
            predictions.append(torch.sigmoid(self.out(context)))
        return torch.stack(predictions, 1)


class JordanNet(nn.Module):
    """State units keep a fading trace of the outputs; a plan says which sequence is wanted.

    M. I. Jordan: Attractor Dynamics and Parallelism in a Connectionist Sequential Machine. CogSci 1986.
    """

    def __init__(self, plan: int = 4, width: int = 8, outputs: int = 3, fading: float = 0.5) -> None:
        super().__init__()
        self.fading = fading
        self.outputs = outputs
        self.hidden = nn.Linear(plan + outputs, width)
        self.out = nn.Linear(width, outputs)

    def forward(self, plan: Tensor, steps: int) -> Tensor:
        """Outputs f32[N, steps, outputs] of plans f32[N, plan]."""
        state = plan.new_zeros(len(plan), self.outputs)
        outputs = []
        for _ in range(steps):
            output = torch.sigmoid(self.out(torch.sigmoid(self.hidden(torch.cat([plan, state], 1)))))
            state = self.fading * state + output
            outputs.append(output)
        return torch.stack(outputs, 1)


class LSTMLanguageModel(nn.Module):
    """Layers of LSTM with dropout between them, not in time; the output layer is the embedding.

    W. Zaremba, I. Sutskever, O. Vinyals: Recurrent Neural Network Regularization. 2014, arXiv:1409.2329.
    O. Press, L. Wolf: Using the Output Embedding to Improve Language Models. EACL 2017, arXiv:1608.05859.
    """

    def __init__(self, words: int = 20, width: int = 8) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.lstm = nn.LSTM(width, width, num_layers=2, dropout=0.5, batch_first=True)
        self.dropout = nn.Dropout()
        self.out = nn.Linear(width, words)
        self.out.weight = self.embed.weight

    def forward(self, words: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Logits f32[N, T, words] of i64[N, T], and the state that the next piece of text begins with."""
        x, state = self.lstm(self.dropout(self.embed(words)))
        return self.out(self.dropout(x)), state


class ClockworkRNN(nn.Module):
    """Modules with clocks of their own: each runs when its period divides the time, and hears only slower ones.

    J. Koutník, K. Greff, F. Gomez, J. Schmidhuber: A Clockwork RNN. ICML 2014, arXiv:1402.3511.
    """

    def __init__(self, inputs: int = 3, width: int = 4, periods: tuple[int, ...] = (1, 2, 4)) -> None:
        super().__init__()
        self.width, self.periods = width, periods
        slower = [len(periods) - index for index in range(len(periods))]
        self.inward = nn.ModuleList(nn.Linear(inputs, width) for _ in periods)
        self.recur = nn.ModuleList(nn.Linear(count * width, width, bias=False) for count in slower)
        self.out = nn.Linear(width * len(periods), 1)

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, T, 1] of f32[N, T, inputs]."""
        states = [x.new_zeros(len(x), self.width) for _ in self.periods]
        outputs = []
        for time, step in enumerate(x.unbind(1)):
            states = [
                torch.tanh(self.inward[index](step) + self.recur[index](torch.cat(states[index:], 1)))
                if time % period == 0
                else states[index]
                for index, period in enumerate(self.periods)
            ]
            outputs.append(self.out(torch.cat(states, 1)))
        return torch.stack(outputs, 1)


class RecurrentHighwayNet(nn.Module):
    """Several highway layers within each step of time.

    J. G. Zilly, R. K. Srivastava, J. Koutník, J. Schmidhuber: Recurrent Highway Networks. ICML 2017,
    arXiv:1607.03474.
    """

    def __init__(self, inputs: int = 3, width: int = 8, depth: int = 3) -> None:
        super().__init__()
        self.width = width
        self.inward = nn.Linear(inputs, 2 * width)
        self.layers = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        """The last state f32[N, width] of f32[N, T, inputs]."""
        state = x.new_zeros(len(x), self.width)
        for step in x.unbind(1):
            for index, layer in enumerate(self.layers):
                both = layer(state) if index else layer(state) + self.inward(step)
                candidate, gate = both.chunk(2, 1)
                share = torch.sigmoid(gate)
                state = torch.tanh(candidate) * share + state * (1 - share)
        return state


class IndRNN(nn.Module):
    """Each neuron hears of itself alone in time, and of the others in depth.

    S. Li, W. Li, C. Cook, C. Zhu, Y. Gao: Independently Recurrent Neural Network (IndRNN). CVPR 2018,
    arXiv:1803.04831.
    """

    def __init__(self, inputs: int = 3, width: int = 8, depth: int = 2) -> None:
        super().__init__()
        self.inward = nn.ModuleList(nn.Linear(width if index else inputs, width) for index in range(depth))
        self.recur = nn.ParameterList(torch.rand(width) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, T, width] of f32[N, T, inputs]."""
        for inward, recur in zip(self.inward, self.recur, strict=True):
            drive = inward(x)
            state, states = torch.zeros_like(drive[:, 0]), []
            for step in drive.unbind(1):
                state = F.relu(step + recur * state)
                states.append(state)
            x = torch.stack(states, 1)
        return x


class QRNN(nn.Module):
    """Gates by a convolution that looks back, and a pooling without weights as the only recurrence.

    J. Bradbury, S. Merity, C. Xiong, R. Socher: Quasi-Recurrent Neural Networks. ICLR 2017, arXiv:1611.01576.
    """

    def __init__(self, inputs: int = 3, width: int = 8, kernel: int = 2) -> None:
        super().__init__()
        self.kernel = kernel
        self.gates = nn.Conv1d(inputs, 3 * width, kernel)

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, T, width] of f32[N, T, inputs], by fo-pooling."""
        past = F.pad(x.transpose(1, 2), (self.kernel - 1, 0))
        z, f, o = self.gates(past).transpose(1, 2).chunk(3, -1)
        z, f, o = torch.tanh(z), torch.sigmoid(f), torch.sigmoid(o)
        cell, states = torch.zeros_like(z[:, 0]), []
        for time in range(x.shape[1]):
            cell = f[:, time] * cell + (1 - f[:, time]) * z[:, time]
            states.append(o[:, time] * cell)
        return torch.stack(states, 1)


class SRU(nn.Module):
    """One matrix product for all steps; the gates see the cell by a vector; a highway around it all.

    T. Lei, Y. Zhang, S. I. Wang, H. Dai, Y. Artzi: Simple Recurrent Units for Highly Parallelizable Recurrence.
    EMNLP 2018, arXiv:1709.02755.
    """

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.project = nn.Linear(width, 3 * width, bias=False)
        self.v = nn.Parameter(torch.rand(2, width))
        self.bias = nn.Parameter(torch.zeros(2, width))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """States f32[N, T, width] of f32[N, T, width], and the last cell f32[N, width]."""
        candidate, forget, reset = self.project(x).chunk(3, -1)
        cell, states = torch.zeros_like(x[:, 0]), []
        for time, step in enumerate(x.unbind(1)):
            f = torch.sigmoid(forget[:, time] + self.v[0] * cell + self.bias[0])
            r = torch.sigmoid(reset[:, time] + self.v[1] * cell + self.bias[1])
            cell = f * cell + (1 - f) * candidate[:, time]
            states.append(r * cell + (1 - r) * step)
        return torch.stack(states, 1), cell


class ConvLSTMCell(nn.Module):
    """An LSTM cell whose products are convolutions, with peepholes."""

    def __init__(self, inputs: int, width: int, side: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs + width, 4 * width, 3, padding=1)
        self.peep = nn.Parameter(torch.zeros(3, width, side, side))

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """The new hidden map and cell, f32[N, width, H, W] both."""
        hidden, cell = state
        i, f, g, o = self.conv(torch.cat([x, hidden], 1)).chunk(4, 1)
        i, f = torch.sigmoid(i + self.peep[0] * cell), torch.sigmoid(f + self.peep[1] * cell)
        cell = f * cell + i * torch.tanh(g)
        return torch.sigmoid(o + self.peep[2] * cell) * torch.tanh(cell), cell


class ConvLSTMForecaster(nn.Module):
    """A film is read, and its next pictures are made from the states it has left.

    X. Shi et al.: Convolutional LSTM Network: A Machine Learning Approach for Precipitation Nowcasting.
    NIPS 2015, arXiv:1506.04214.
    """

    def __init__(self, width: int = 4, side: int = 8, ahead: int = 2) -> None:
        super().__init__()
        self.width, self.ahead = width, ahead
        self.encoder = ConvLSTMCell(1, width, side)
        self.forecaster = ConvLSTMCell(1, width, side)
        self.out = nn.Conv2d(width, 1, 1)

    def forward(self, film: Tensor) -> Tensor:
        """f32[N, ahead, 1, H, W] after f32[N, T, 1, H, W]."""
        zeros = film.new_zeros(len(film), self.width, *film.shape[3:])
        state = (zeros, zeros)
        for picture in film.unbind(1):
            state = self.encoder(picture, state)
        nothing, ahead = torch.zeros_like(film[:, 0]), []
        for _ in range(self.ahead):
            state = self.forecaster(nothing, state)
            ahead.append(torch.sigmoid(self.out(state[0])))
        return torch.stack(ahead, 1)


class PredNet(nn.Module):
    """Each layer predicts what comes from below and passes on what it did not foresee.

    W. Lotter, G. Kreiman, D. Cox: Deep Predictive Coding Networks for Video Prediction and Unsupervised
    Learning. ICLR 2017, arXiv:1605.08104.
    """

    def __init__(self, widths: tuple[int, ...] = (1, 4), side: int = 8) -> None:
        super().__init__()
        self.widths = widths
        above = [*widths[1:], 0]
        sides = [side // 2**level for level in range(len(widths))]
        self.represent = nn.ModuleList(
            ConvLSTMCell(2 * w + a, w, s) for w, a, s in zip(widths, above, sides, strict=True)
        )
        self.predict = nn.ModuleList(nn.Conv2d(w, w, 3, padding=1) for w in widths)
        self.ascend = nn.ModuleList(nn.Conv2d(2 * w, a, 3, padding=1) for w, a in pairwise(widths))

    def forward(self, film: Tensor) -> tuple[Tensor, Tensor]:
        """Predictions f32[N, T, C, H, W] of f32[N, T, C, H, W], and the mean error of each step f32[T]."""
        n, _, _, h, w = film.shape
        sizes = [(n, width, h // 2**level, w // 2**level) for level, width in enumerate(self.widths)]
        states = [(film.new_zeros(size), film.new_zeros(size)) for size in sizes]
        errors = [torch.cat(state, 1) for state in states]
        predictions, surprises = [], []
        for picture in film.unbind(1):
            for level in reversed(range(len(sizes))):
                below = [errors[level]]
                if level + 1 < len(sizes):
                    below.append(F.interpolate(states[level + 1][0], scale_factor=2.0))
                states[level] = self.represent[level](torch.cat(below, 1), states[level])
            target = picture
            for level, predict in enumerate(self.predict):
                expected = F.relu(predict(states[level][0]))
                if level == 0:
                    expected = expected.clamp(max=1)
                    predictions.append(expected)
                errors[level] = torch.cat([F.relu(target - expected), F.relu(expected - target)], 1)
                if level < len(self.ascend):
                    target = F.max_pool2d(F.relu(self.ascend[level](errors[level])), 2)
            surprises.append(torch.stack([error.mean() for error in errors]).sum())
        return torch.stack(predictions, 1), torch.stack(surprises)


class EchoStateNet(nn.Module):
    """A fixed random reservoir of leaky units, and a readout that alone is learnt.

    H. Jaeger: The "Echo State" Approach to Analysing and Training Recurrent Neural Networks. GMD Report 148,
    2001.
    """

    inward: Tensor
    recur: Tensor

    def __init__(self, inputs: int = 2, width: int = 20, leak: float = 0.3, radius: float = 0.9) -> None:
        super().__init__()
        self.leak = leak
        recur = torch.randn(width, width) * (torch.rand(width, width) < 0.2)
        self.register_buffer("recur", recur * radius / torch.linalg.eigvals(recur).abs().max())
        self.register_buffer("inward", torch.rand(width, inputs) - 0.5)
        self.readout = nn.Linear(width + inputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, T, 1] of f32[N, T, inputs]."""
        state, outputs = x.new_zeros(len(x), len(self.recur)), []
        for step in x.unbind(1):
            echo = torch.tanh(F.linear(step, self.inward) + F.linear(state, self.recur))
            state = torch.lerp(state, echo, self.leak)
            outputs.append(self.readout(torch.cat([state, step], 1)))
        return torch.stack(outputs, 1)
