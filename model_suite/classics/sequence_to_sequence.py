"""From one sequence to another: alignment, pointing, speech, and ways of decoding."""

# mypy: no-warn-return-any
# (what a module returns is Any in torch)

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Bahdanau(nn.Module):
    """The decoder looks for what to translate next, by an additive score, before it takes its step.

    D. Bahdanau, K. Cho, Y. Bengio: Neural Machine Translation by Jointly Learning to Align and Translate.
    ICLR 2015, arXiv:1409.0473.
    """

    def __init__(self, words: int = 20, width: int = 8) -> None:
        super().__init__()
        self.embed_source, self.embed_target = nn.Embedding(words, width), nn.Embedding(words, width)
        self.encoder = nn.GRU(width, width, bidirectional=True, batch_first=True)
        self.start = nn.Linear(width, width)
        self.w, self.u = nn.Linear(width, width, bias=False), nn.Linear(2 * width, width, bias=False)
        self.v = nn.Linear(width, 1, bias=False)
        self.cell = nn.GRUCell(3 * width, width)
        self.maxout = nn.Linear(4 * width, 2 * width)
        self.out = nn.Linear(width, words)

    def forward(self, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Logits f32[N, T, words] and alignments f32[N, T, S] of i64[N, S] and i64[N, T]."""
        notes, last = self.encoder(self.embed_source(source))
        keys, state = self.u(notes), torch.tanh(self.start(last[1]))
        logits, alignments = [], []
        for word in self.embed_target(target).unbind(1):
            score = self.v(torch.tanh(self.w(state)[:, None] + keys)).squeeze(-1)
            share = score.softmax(-1)
            context = torch.einsum("ns,nsd->nd", share, notes)
            seen = torch.cat([word, context], 1)
            logits.append(self.out(self.maxout(torch.cat([state, seen], 1)).unflatten(1, (-1, 2)).amax(2)))
            state = self.cell(seen, state)
            alignments.append(share)
        return torch.stack(logits, 1), torch.stack(alignments, 1)


class Luong(nn.Module):
    """The step comes first, the look afterwards: around a predicted place, and fed into the next step.

    M.-T. Luong, H. Pham, C. D. Manning: Effective Approaches to Attention-based Neural Machine Translation.
    EMNLP 2015, arXiv:1508.04025. Local attention with predicted alignment (local-p), score "general".
    """

    def __init__(self, words: int = 20, width: int = 8, window: int = 2) -> None:
        super().__init__()
        self.window = window
        self.embed_source, self.embed_target = nn.Embedding(words, width), nn.Embedding(words, width)
        self.encoder = nn.LSTM(width, width, batch_first=True)
        self.cell = nn.LSTMCell(2 * width, width)
        self.general = nn.Linear(width, width, bias=False)
        self.place = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1), nn.Sigmoid())
        self.combine = nn.Linear(2 * width, width, bias=False)
        self.out = nn.Linear(width, words)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Logits f32[N, T, words] of i64[N, S] and i64[N, T]."""
        notes, (h, c) = self.encoder(self.embed_source(source))
        h, c = h[0], c[0]
        attentional, logits = torch.zeros_like(h), []
        places = torch.arange(notes.shape[1])
        for word in self.embed_target(target).unbind(1):
            h, c = self.cell(torch.cat([word, attentional], 1), (h, c))
            centre = notes.shape[1] * self.place(h)
            score = torch.einsum("nd,nsd->ns", self.general(h), notes)
            score = score.masked_fill((places - centre).abs() > self.window, -1e9)
            near = torch.exp(-((places - centre) ** 2) / (2 * (self.window / 2) ** 2))
            context = torch.einsum("ns,nsd->nd", score.softmax(-1) * near, notes)
            attentional = torch.tanh(self.combine(torch.cat([context, h], 1)))
            logits.append(self.out(attentional))
        return torch.stack(logits, 1)


class PointerNet(nn.Module):
    """The answers are places of the input: attention is the output. Each place is taken once.

    O. Vinyals, M. Fortunato, N. Jaitly: Pointer Networks. NIPS 2015, arXiv:1506.03134.
    """

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.encoder = nn.LSTM(2, width, batch_first=True)
        self.cell = nn.LSTMCell(2, width)
        self.w1, self.w2 = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.v = nn.Linear(width, 1, bias=False)
        self.start = nn.Parameter(torch.rand(2))

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """A tour i64[N, T] through points f32[N, T, 2], and its log probability f32[N]."""
        notes, (h, c) = self.encoder(points)
        h, c, keys = h[0], c[0], self.w1(notes)
        taken = torch.zeros(points.shape[:2], dtype=torch.bool)
        current, total = self.start.expand(len(points), 2), points.new_zeros(len(points))
        tour = []
        for _ in range(points.shape[1]):
            h, c = self.cell(current, (h, c))
            score = self.v(torch.tanh(keys + self.w2(h)[:, None])).squeeze(-1)
            likely, chosen = score.masked_fill(taken, -math.inf).log_softmax(-1).max(-1)
            total = total + likely
            taken = taken.scatter(1, chosen[:, None], True)
            current = points[torch.arange(len(points)), chosen]
            tour.append(chosen)
        return torch.stack(tour, 1), total


class ConvolutionalTranslator(nn.Module):
    """Stacks of gated convolutions, with attention from each layer of the decoder.

    J. Gehring, M. Auli, D. Grangier, D. Yarats, Y. N. Dauphin: Convolutional Sequence to Sequence Learning.
    ICML 2017, arXiv:1705.03122.
    """

    def __init__(self, words: int = 20, width: int = 8, depth: int = 2, longest: int = 16) -> None:
        super().__init__()
        self.source, self.target = nn.Embedding(words, width), nn.Embedding(words, width)
        self.source_places, self.target_places = nn.Embedding(longest, width), nn.Embedding(longest, width)
        self.encoder = nn.ModuleList(nn.Conv1d(width, 2 * width, 3, padding=1) for _ in range(depth))
        self.decoder = nn.ModuleList(nn.Conv1d(width, 2 * width, 3) for _ in range(depth))
        self.query = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.out = nn.Linear(width, words)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Logits f32[N, T, words] of i64[N, S] and i64[N, T]."""
        embedded = self.source(source) + self.source_places.weight[: source.shape[1]]
        keys = embedded
        for conv in self.encoder:
            keys = (F.glu(conv(keys.mT), 1).mT + keys) * math.sqrt(0.5)
        values = keys + embedded
        words = self.target(target) + self.target_places.weight[: target.shape[1]]
        x = words
        for conv, query in zip(self.decoder, self.query, strict=True):
            hidden = F.glu(conv(F.pad(x.mT, (2, 0))), 1).mT
            share = ((query(hidden) + words) @ keys.mT).softmax(-1)
            x = (hidden + share @ values + x) * math.sqrt(0.5)
        return self.out(x)


class DeepSpeech(nn.Module):
    """Clipped layers over a window of frames, one recurrent layer each way, added; letters by CTC.

    A. Hannun et al.: Deep Speech: Scaling up End-to-End Speech Recognition. 2014, arXiv:1412.5567.
    A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist Temporal Classification. ICML 2006.
    """

    def __init__(self, bins: int = 6, window: int = 2, width: int = 12, letters: int = 8) -> None:
        super().__init__()
        self.window = window
        sizes = [bins * (2 * window + 1), width, width]
        self.layers = nn.ModuleList(nn.Linear(size, width) for size in sizes)
        self.recurrent = nn.RNN(width, width, nonlinearity="relu", bidirectional=True, batch_first=True)
        self.last = nn.Linear(width, width)
        self.out = nn.Linear(width, letters + 1)

    def forward(self, sound: Tensor, letters: Tensor) -> tuple[Tensor, Tensor]:
        """Log probabilities f32[N, T, letters + 1] of f32[N, T, bins], and the CTC loss of i64[N, S]."""
        padded = F.pad(sound, (0, 0, self.window, self.window))
        x = padded.unfold(1, 2 * self.window + 1, 1).flatten(2)
        for layer in self.layers:
            x = layer(x).clamp(0, 20)
        both, _ = self.recurrent(x)
        x = self.last(both.unflatten(-1, (2, -1)).sum(-2)).clamp(0, 20)
        likely = self.out(x).log_softmax(-1)
        frames = torch.full((len(sound),), sound.shape[1])
        lengths = torch.full((len(letters),), letters.shape[1])
        return likely, F.ctc_loss(likely.transpose(0, 1), letters, frames, lengths)


class ListenAttendSpell(nn.Module):
    """A pyramid of recurrent layers halves the time in each; a speller attends to what is left.

    W. Chan, N. Jaitly, Q. V. Le, O. Vinyals: Listen, Attend and Spell. ICASSP 2016, arXiv:1508.01211.
    """

    def __init__(self, bins: int = 6, width: int = 8, letters: int = 10, depth: int = 2) -> None:
        super().__init__()
        self.listen = nn.ModuleList(
            nn.LSTM(2 * (2 * width if index else bins), width, bidirectional=True, batch_first=True)
            for index in range(depth)
        )
        self.embed = nn.Embedding(letters, width)
        self.phi, self.psi = nn.Linear(width, width), nn.Linear(2 * width, width)
        self.cell = nn.LSTMCell(3 * width, width)
        self.out = nn.Sequential(nn.Linear(3 * width, width), nn.ReLU(), nn.Linear(width, letters))

    def forward(self, sound: Tensor, letters: Tensor) -> Tensor:
        """Logits f32[N, S, letters] of f32[N, T, bins] and i64[N, S]; T is a multiple of four."""
        x = sound
        for layer in self.listen:
            x, _ = layer(x.unflatten(1, (-1, 2)).flatten(2))
        keys, context = self.psi(x), torch.zeros_like(x[:, 0])
        state, logits = None, []
        for letter in self.embed(letters).unbind(1):
            state = self.cell(torch.cat([letter, context], 1), state)
            energy = torch.einsum("nd,ntd->nt", self.phi(state[0]), keys)
            context = torch.einsum("nt,ntd->nd", energy.softmax(-1), x)
            logits.append(self.out(torch.cat([state[0], context], 1)))
        return torch.stack(logits, 1)


class CBHG(nn.Module):
    """Tacotron's encoder: a pre-net, a bank of convolutions, highway layers, and a GRU each way.

    Y. Wang et al.: Tacotron: Towards End-to-End Speech Synthesis. Interspeech 2017, arXiv:1703.10135.
    """

    def __init__(self, letters: int = 12, width: int = 8, bank: int = 4, highways: int = 2) -> None:
        super().__init__()
        self.embed = nn.Embedding(letters, width)
        self.prenet = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Dropout())
        self.bank = nn.ModuleList(
            nn.Sequential(nn.Conv1d(width, width, k, padding=k // 2), nn.ReLU(), nn.BatchNorm1d(width))
            for k in range(1, bank + 1)
        )
        self.project = nn.Sequential(
            nn.Conv1d(bank * width, width, 3, padding=1),
            nn.ReLU(),
            nn.BatchNorm1d(width),
            nn.Conv1d(width, width, 3, padding=1),
            nn.BatchNorm1d(width),
        )
        self.highways = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(highways))
        self.gru = nn.GRU(width, width, bidirectional=True, batch_first=True)

    def forward(self, text: Tensor) -> Tensor:
        """Representations f32[N, T, 2 width] of i64[N, T]."""
        x = self.prenet(self.embed(text)).mT
        length = x.shape[-1]
        y = torch.cat([conv(x)[..., :length] for conv in self.bank], 1)  # even kernels give one more
        y = F.max_pool1d(y, 2, stride=1, padding=1)[..., :length]
        x = (x + self.project(y)).mT
        for highway in self.highways:
            h, gate = highway(x).chunk(2, -1)
            x = torch.lerp(x, F.relu(h), torch.sigmoid(gate))
        return self.gru(x)[0]


class RNNTransducer(nn.Module):
    """An encoder of sound and a predictor of letters, joined at each pair of places; decoded greedily.

    A. Graves: Sequence Transduction with Recurrent Neural Networks. 2012, arXiv:1211.3711.
    """

    def __init__(self, bins: int = 6, width: int = 8, letters: int = 6, most: int = 2) -> None:
        super().__init__()
        self.most = most
        self.encoder = nn.LSTM(bins, width, batch_first=True)
        self.embed = nn.Embedding(letters + 1, width)  # the blank, 0, begins
        self.predictor = nn.LSTMCell(width, width)
        self.join = nn.Linear(width, letters + 1)

    def forward(self, sound: Tensor) -> tuple[list[Tensor], Tensor]:
        """The letters of one f32[1, T, bins], at most ``most`` a frame, and their log probability."""
        heard, _ = self.encoder(sound)
        h, c = self.predictor(self.embed(torch.zeros(1, dtype=torch.long)))
        letters, total = [], sound.new_zeros(())
        for frame in heard.unbind(1):
            for _ in range(self.most):
                likely, letter = self.join(torch.tanh(frame + h)).log_softmax(-1).max(-1)
                total = total + likely.sum()
                if letter == 0:  # a blank: on to the next frame
                    break
                letters.append(letter)
                h, c = self.predictor(self.embed(letter), (h, c))
        return letters, total
