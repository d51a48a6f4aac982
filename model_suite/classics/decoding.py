"""Loops around a language model: caches, beams, drafts; and what is computed by dynamic programming."""

# mypy: no-warn-return-any
# (what a module returns is Any in torch)

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Keys and values of each layer, f32[N, heads, T, D].
Cache = list[tuple[Tensor, Tensor]]


class Block(nn.Module):
    """A pre-norm layer of a decoder, that takes the keys and values of earlier words from a cache."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(
        self, x: Tensor, past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """f32[N, T, width] to the same shape, and the cache with T more words."""
        parts = self.qkv(self.norm1(x)).chunk(3, -1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        if past is not None:
            k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
        seen = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril(k.shape[2] - q.shape[2])
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        return x + self.feed(self.norm2(x)), (k, v)


class GPT(nn.Module):
    """A small decoder of words, used by the loops below.

    A. Radford, J. Wu, R. Child, D. Luan, D. Amodei, I. Sutskever: Language Models are Unsupervised Multitask
    Learners. 2019.
    """

    def __init__(
        self, words: int = 12, width: int = 8, heads: int = 2, depth: int = 2, longest: int = 16
    ) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(words, width), nn.Embedding(longest, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, words: Tensor, cache: Cache | None = None) -> tuple[Tensor, Cache]:
        """Logits f32[N, T, words] of i64[N, T], that continue what the cache holds, and the new cache."""
        start = cache[0][0].shape[2] if cache else 0
        x = self.words(words) + self.places.weight[start : start + words.shape[1]]
        grown: Cache = []
        for index, block in enumerate(self.blocks):
            x, pair = block(x, cache[index] if cache else None)
            grown.append(pair)
        return self.norm(x) @ self.words.weight.T, grown


class GreedyGPT(nn.Module):
    """The likeliest word, again and again; each step computes one word, the rest is in the cache.

    N. Shazeer: Fast Transformer Decoding: One Write-Head is All You Need. 2019, arXiv:1911.02150 (its section 2.3
    has the incremental decoding that this does).
    """

    def __init__(self, steps: int = 3) -> None:
        super().__init__()
        self.steps = steps
        self.model = GPT()

    def forward(self, prompt: Tensor) -> Tensor:
        """i64[N, steps] after prompts i64[N, T]."""
        logits, cache = self.model(prompt)
        words = [logits[:, -1:].argmax(-1)]
        for _ in range(self.steps - 1):
            logits, cache = self.model(words[-1], cache)
            words.append(logits.argmax(-1))
        return torch.cat(words, 1)


class BeamSearch(nn.Module):
    """The best few beginnings are kept; the caches follow those that live on.

    B. T. Lowerre: The HARPY Speech Recognition System. PhD thesis, Carnegie Mellon University, 1976.
    I. Sutskever, O. Vinyals, Q. V. Le: Sequence to Sequence Learning with Neural Networks. NIPS 2014,
    arXiv:1409.3215.
    """

    def __init__(self, beams: int = 3, steps: int = 3) -> None:
        super().__init__()
        self.beams, self.steps = beams, steps
        self.model = GPT()

    def forward(self, prompt: Tensor) -> tuple[Tensor, Tensor]:
        """The best continuations i64[beams, steps] of i64[1, T], and their log probabilities f32[beams]."""
        logits, cache = self.model(prompt)
        scores, words = logits[0, -1].log_softmax(-1).topk(self.beams)
        found = words[:, None]
        cache = [(k.expand(self.beams, -1, -1, -1), v.expand(self.beams, -1, -1, -1)) for k, v in cache]
        for _ in range(self.steps - 1):
            logits, cache = self.model(found[:, -1:], cache)
            likely = scores[:, None] + logits[:, -1].log_softmax(-1)
            scores, flat = likely.flatten().topk(self.beams)
            parents, words = flat // likely.shape[1], flat % likely.shape[1]
            found = torch.cat([found[parents], words[:, None]], 1)
            cache = [(k[parents], v[parents]) for k, v in cache]
        return found, scores


class SpeculativeDecoder(nn.Module):
    """A small model drafts some words; the large one reads them at once, and keeps those that it would have drawn.

    Y. Leviathan, M. Kalman, Y. Matias: Fast Inference from Transformers via Speculative Decoding. ICML 2023,
    arXiv:2211.17192.
    """

    def __init__(self, ahead: int = 3) -> None:
        super().__init__()
        self.ahead = ahead
        self.draft, self.target = GPT(depth=1), GPT(depth=2)

    def forward(self, prompt: Tensor) -> tuple[Tensor, Tensor]:
        """The prompt i64[1, T] with 1 to ahead + 1 words more, and how many drafts were accepted."""
        words, chances = prompt, []
        for _ in range(self.ahead):
            chances.append(self.draft(words)[0][:, -1].softmax(-1))
            words = torch.cat([words, chances[-1].multinomial(1)], 1)
        q = torch.stack(chances, 1)[0]
        p = self.target(words)[0][0, -self.ahead - 1 :].softmax(-1)
        drafted = words[0, -self.ahead :, None]
        ratio = p[:-1].gather(1, drafted) / q.gather(1, drafted)
        accepted = (torch.rand(self.ahead) < ratio.squeeze(1)).long().cumprod(0).sum()
        # what the target has and the draft had too little of; after the last draft, all that it has
        rest = F.relu(p - F.pad(q, (0, 0, 0, 1))).index_select(0, accepted[None])
        kept = words[:, : prompt.shape[1] + int(accepted)]
        words = torch.cat([kept, rest.multinomial(1)], 1)
        return words, accepted


class ConditionalRandomField(nn.Module):
    """Tags of words by a BiLSTM and learnt transitions: the partition function, and the best path by Viterbi.

    Z. Huang, W. Xu, K. Yu: Bidirectional LSTM-CRF Models for Sequence Tagging. 2015, arXiv:1508.01991.
    J. Lafferty, A. McCallum, F. Pereira: Conditional Random Fields. ICML 2001.
    """

    def __init__(self, words: int = 20, width: int = 8, tags: int = 4) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.lstm = nn.LSTM(width, width // 2, bidirectional=True, batch_first=True)
        self.emit = nn.Linear(width, tags)
        self.move = nn.Parameter(torch.randn(tags, tags))
        self.start, self.end = nn.Parameter(torch.randn(tags)), nn.Parameter(torch.randn(tags))

    def forward(self, words: Tensor) -> tuple[Tensor, Tensor]:
        """The best tags i64[N, T] of i64[N, T], and their log probability f32[N]."""
        scores = self.emit(self.lstm(self.embed(words))[0])
        best = total = self.start + scores[:, 0]
        pointers = []
        for emitted in scores[:, 1:].unbind(1):
            total = torch.logsumexp(total[:, :, None] + self.move, 1) + emitted
            best, pointer = (best[:, :, None] + self.move).max(1)
            best = best + emitted
            pointers.append(pointer)
        likely, tag = (best + self.end).max(1)
        path = [tag]
        for pointer in reversed(pointers):
            path.append(pointer.gather(1, path[-1][:, None]).squeeze(1))
        return torch.stack(path[::-1], 1), likely - torch.logsumexp(total + self.end, 1)


class HiddenMarkovModel(nn.Module):
    """The forward algorithm with scaling, then the backward one: what was seen, and which states did it.

    L. R. Rabiner: A Tutorial on Hidden Markov Models and Selected Applications in Speech Recognition.
    Proceedings of the IEEE 77(2), 1989.
    """

    def __init__(self, states: int = 3, symbols: int = 5) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.randn(states))
        self.move = nn.Parameter(torch.randn(states, states))
        self.emit = nn.Parameter(torch.randn(states, symbols))

    def forward(self, symbols: Tensor) -> tuple[Tensor, Tensor]:
        """The log likelihood f32[N] of i64[N, T], and the posteriors f32[N, T, states]."""
        move = self.move.softmax(1)
        emitted = self.emit.softmax(1).T[symbols]
        alpha, alphas, scales = self.start.softmax(0), [], []
        for time in range(symbols.shape[1]):
            alpha = (alpha @ move if time else alpha) * emitted[:, time]
            scale = alpha.sum(1, keepdim=True)
            alpha = alpha / scale
            alphas.append(alpha)
            scales.append(scale)
        beta, betas = torch.ones_like(alpha), []
        for time in reversed(range(symbols.shape[1])):
            betas.append(beta)
            beta = (beta * emitted[:, time]) @ move.T / scales[time]
        posterior = torch.stack(alphas, 1) * torch.stack(betas[::-1], 1)
        return torch.cat(scales, 1).log().sum(1), posterior


class BiaffineParser(nn.Module):
    """Each word looks for its head by a biaffine score; a tree's mass by the matrix-tree theorem.

    T. Dozat, C. D. Manning: Deep Biaffine Attention for Neural Dependency Parsing. ICLR 2017, arXiv:1611.01734.
    T. Koo, A. Globerson, X. Carreras, M. Collins: Structured Prediction Models via the Matrix-Tree Theorem.
    EMNLP 2007.
    """

    def __init__(self, words: int = 20, width: int = 8) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.lstm = nn.LSTM(width, width // 2, bidirectional=True, batch_first=True)
        self.head, self.dependent = nn.Linear(width, width), nn.Linear(width, width)
        self.biaffine = nn.Parameter(torch.randn(width, width + 1) / math.sqrt(width))
        self.root = nn.Linear(width, 1)

    def forward(self, words: Tensor) -> tuple[Tensor, Tensor]:
        """Scores f32[N, T, T] of a head (second) for each word (third), and the log partition function f32[N]."""
        x = self.lstm(self.embed(words))[0]
        head, dependent = F.relu(self.head(x)), F.relu(self.dependent(x))
        scores = head @ self.biaffine @ F.pad(dependent, (0, 1), value=1.0).mT
        mass = scores.exp() * (1 - torch.eye(words.shape[1]))
        laplacian = torch.diag_embed(mass.sum(1)) - mass
        # the first row is replaced by the scores of the root, so that there is one root
        laplacian = torch.cat([self.root(x).exp().mT, laplacian[:, 1:]], 1)
        return scores, torch.linalg.slogdet(laplacian).logabsdet
