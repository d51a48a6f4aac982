"""Layers of torch that compute in several steps or return several results."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from .case import Tricky, rand


class Attention(nn.Module):
    """``multi_head_attention_forward`` arrives as one call and is opened."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x)


class TransformerWithMasks(nn.Module):
    """A whole nn.Transformer with causal and padding masks."""

    def __init__(self):
        super().__init__()
        self.net = nn.Transformer(4, 2, 1, 1, 8, dropout=0.0, batch_first=True)

    def forward(self, source, target):
        mask = nn.Transformer.generate_square_subsequent_mask(target.shape[1])
        padding = torch.zeros(source.shape[:2], dtype=torch.bool)
        return self.net(source, target, tgt_mask=mask, src_key_padding_mask=padding)


class Composites(nn.Module):
    """Python functions of torch that compute in several steps."""

    def forward(self, x):
        return F.normalize(x), F.softsign(x), F.lp_pool1d(x, 2, 2), F.gumbel_softmax(x), F.tanhshrink(x)


class RecurrentNets(nn.Module):
    """LSTM and GRU: one op, several results; cells in a loop."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 4, num_layers=2, bidirectional=True)
        self.cell = nn.GRUCell(8, 4)

    def forward(self, x):
        sequence, (hidden, _) = self.lstm(x)
        state = torch.zeros(1, 4)
        for step in sequence:
            state = self.cell(step, state)
        return state, hidden


class PackedSequences(nn.Module):
    """Packed sequences: data and batch sizes apart."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(3, 4, batch_first=True)

    def forward(self, x):
        packed = nn.utils.rnn.pack_padded_sequence(x, [3, 2], batch_first=True)
        return nn.utils.rnn.pad_packed_sequence(self.gru(packed)[0], batch_first=True)[0]


class Fourier(nn.Module):
    """Transforms and decompositions: complex values, several results."""

    def forward(self, x):
        spectrum = torch.fft.rfft(x)
        values, _ = torch.linalg.eigh(x @ x.t() + torch.eye(3))
        windowed = torch.stft(x.flatten(), 4, return_complex=True, window=torch.ones(4))
        return spectrum.abs(), values, windowed.abs()


class AttentionOfManyKinds(nn.Module):
    """Masks, added rows, other widths, no weights, no batch: each a way through the attention."""

    def __init__(self):
        super().__init__()
        self.plain = nn.MultiheadAttention(4, 2, batch_first=True)
        self.added = nn.MultiheadAttention(4, 2, add_bias_kv=True, add_zero_attn=True, bias=False)
        self.widths = nn.MultiheadAttention(4, 2, dropout=0.1, kdim=2, vdim=2, batch_first=True)

    def forward(self, x):
        hidden = torch.ones(3, 3).tril().bool().logical_not()
        padding = torch.zeros(2, 3, dtype=torch.bool)
        narrow = x[..., :2]
        causal = nn.Transformer.generate_square_subsequent_mask(3)
        return (
            self.plain(x, x, x, attn_mask=hidden, need_weights=False)[0],
            self.added(x, x, x, average_attn_weights=False),
            self.widths(x, narrow, narrow, key_padding_mask=padding),
            self.plain(x[0], x[0], x[0])[0],
            self.plain(x, x, x, attn_mask=causal, is_causal=True)[0],
        )


class EncoderAndDecoder(nn.Module):
    """Stacked encoder and decoder layers with padding, normed first and last."""

    def __init__(self):
        super().__init__()
        encoder = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, activation="gelu")
        decoder = nn.TransformerDecoderLayer(4, 2, 8, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(encoder, 2, norm=nn.LayerNorm(4))
        self.decoder = nn.TransformerDecoder(decoder, 2)

    def forward(self, x):
        padding = torch.tensor([[False, False, True], [False, False, False]])
        memory = self.encoder(x, src_key_padding_mask=padding)
        causal = nn.Transformer.generate_square_subsequent_mask(3)
        return self.decoder(x, memory, tgt_mask=causal, tgt_is_causal=True, memory_key_padding_mask=padding)


class NormsInTraining(nn.Module):
    """Norms write their statistics: twice in one pass, by counting, and those of instances."""

    def __init__(self):
        super().__init__()
        self.twice = nn.BatchNorm1d(3)
        self.counted = nn.BatchNorm1d(3, momentum=None)
        self.instance = nn.InstanceNorm1d(3, track_running_stats=True, affine=True)

    def forward(self, x):
        y = self.counted(self.twice(self.twice(x) * 2))
        z = self.instance(y.t()[None])
        return z, self.twice.running_mean * 1, self.counted.running_mean * 1, self.instance.running_mean * 1


class RecurrentDropout(nn.Module):
    """Recurrent layers draw between their levels; a projected LSTM and an Elman net."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 4, 2, dropout=0.5, bidirectional=True, proj_size=2)
        self.gru = nn.GRU(4, 3, 2, dropout=0.5)
        self.elman = nn.RNN(3, 2, 2, dropout=0.5, nonlinearity="relu")

    def forward(self, x):
        y, (hidden, _) = self.lstm(x)
        y, _ = self.gru(y)
        return self.elman(y)[0], hidden


class ManyResults(nn.Module):
    """Functions that return several tensors, in tuples of every kind."""

    def forward(self, x):
        left, middle, right = x.split([1, 2, 3], 1)
        largest, _ = x.topk(2)
        columns, rows = torch.meshgrid(x[0], x[1], indexing="ij")
        _, upper = torch.linalg.qr(x)
        deviation, mean = torch.var_mean(x, 1)
        limits = torch.aminmax(x)
        return (
            (left * 1, middle * 1, right * 1),
            (largest, x.max(1).values, x.sort(0)[0], x.median(1)[0], x.cummax(1)[0]),
            (columns * 1, rows * 1, upper, torch.linalg.svd(x)[1]),
            (deviation, mean, limits.min, limits.max, x.kthvalue(2, 1).values),
        )


_33 = (3, 3)

CASES: list[Tricky] = [
    Tricky(Attention, rand((2, 3, 4))),
    Tricky(Attention, rand((2, 3, 4)), grad=False),
    Tricky(TransformerWithMasks, rand((2, 3, 4), (2, 3, 4))),
    Tricky(TransformerWithMasks, rand((2, 3, 4), (2, 3, 4)), grad=False),
    Tricky(Composites, rand((2, 4))),
    Tricky(RecurrentNets, rand((4, 1, 3))),
    Tricky(PackedSequences, rand((2, 3, 3))),
    Tricky(Fourier, rand(_33)),
    Tricky(AttentionOfManyKinds, rand((2, 3, 4))),
    Tricky(AttentionOfManyKinds, rand((2, 3, 4)), training=True),
    Tricky(EncoderAndDecoder, rand((2, 3, 4))),
    Tricky(EncoderAndDecoder, rand((2, 3, 4)), grad=False),
    # the first batch that is counted replaces the mean
    Tricky(NormsInTraining, rand((4, 3)), training=True, blind=frozenset({"counted.running_mean"})),
    Tricky(RecurrentDropout, rand((5, 2, 3)), training=True),
    Tricky(ManyResults, rand((4, 6))),
]
