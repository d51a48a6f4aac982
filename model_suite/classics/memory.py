"""Nets with a memory beside their weights, and nets that learn to run programs."""

# mypy: no-warn-return-any
# (what a module returns is Any in torch)

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class NeuralTuringMachine(nn.Module):
    """A head addresses the memory by content, interpolates, shifts and sharpens; then it erases, adds and reads.

    A. Graves, G. Wayne, I. Danihelka: Neural Turing Machines. 2014, arXiv:1410.5401.
    """

    def __init__(self, inputs: int = 4, width: int = 8, slots: int = 6, size: int = 5) -> None:
        super().__init__()
        self.size = size
        self.controller = nn.LSTMCell(inputs + size, width)
        # key, strength, gate, three shifts, sharpening
        self.heads = nn.ModuleList(nn.Linear(width, size + 6) for _ in ("read", "write"))
        self.erase, self.add = nn.Linear(width, size), nn.Linear(width, size)
        self.memory = nn.Parameter(torch.randn(slots, size) / 10)
        self.out = nn.Linear(width + size, inputs)

    def address(self, raw: Tensor, memory: Tensor, before: Tensor) -> Tensor:
        """Weights f32[N, slots], by the four stages of figure 2."""
        key, strength, gate, shift, sharp = raw.split([self.size, 1, 1, 3, 1], 1)
        alike = F.cosine_similarity(torch.tanh(key)[:, None], memory, dim=-1)
        content = (F.softplus(strength) * alike).softmax(-1)
        weights = torch.lerp(before, content, torch.sigmoid(gate))
        ring = torch.stack([weights.roll(1, 1), weights, weights.roll(-1, 1)], -1)
        weights = (ring @ shift.softmax(-1)[..., None]).squeeze(-1)
        weights = (weights + 1e-8) ** (1 + F.softplus(sharp))
        return weights / weights.sum(1, keepdim=True)

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, T, inputs] of f32[N, T, inputs]."""
        memory = self.memory.expand(len(x), -1, -1)
        reading = writing = F.one_hot(torch.zeros(len(x), dtype=torch.long), memory.shape[1]).to(x.dtype)
        read, state, outputs = x.new_zeros(len(x), self.size), None, []
        for step in x.unbind(1):
            state = self.controller(torch.cat([step, read], 1), state)
            writing = self.address(self.heads[1](state[0]), memory, writing)
            erase, add = torch.sigmoid(self.erase(state[0])), torch.tanh(self.add(state[0]))
            memory = memory * (1 - writing[..., None] * erase[:, None]) + writing[..., None] * add[:, None]
            reading = self.address(self.heads[0](state[0]), memory, reading)
            read = torch.einsum("ns,nsd->nd", reading, memory)
            outputs.append(torch.sigmoid(self.out(torch.cat([state[0], read], 1))))
        return torch.stack(outputs, 1)


class DifferentiableNeuralComputer(nn.Module):
    """Besides content: memory is allocated where it is free, and read in the order in which it was written.

    A. Graves et al.: Hybrid Computing Using a Neural Network with Dynamic External Memory. Nature 538, 2016.
    One read head.
    """

    def __init__(self, inputs: int = 4, width: int = 8, slots: int = 5, size: int = 4) -> None:
        super().__init__()
        self.size, self.slots = size, slots
        self.controller = nn.LSTMCell(inputs + size, width)
        # read: key, strength, 3 modes; write: key, strength, erase, vector; gates: free, allocation, write
        self.parts = [size, 1, 3, size, 1, size, size, 1, 1, 1]
        self.interface = nn.Linear(width, sum(self.parts))
        self.out = nn.Linear(width + size, inputs)

    @staticmethod
    def content(memory: Tensor, key: Tensor, strength: Tensor) -> Tensor:
        """Weights f32[N, slots] by likeness."""
        return ((1 + F.softplus(strength)) * F.cosine_similarity(memory, key[:, None], dim=-1)).softmax(-1)

    @staticmethod
    def allocate(usage: Tensor) -> Tensor:
        """Weights f32[N, slots] of what is used least."""
        ordered, order = usage.sort(dim=1)
        before = F.pad(ordered.cumprod(1)[:, :-1], (1, 0), value=1.0)
        return torch.zeros_like(usage).scatter(1, order, (1 - ordered) * before)

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, T, inputs] of f32[N, T, inputs]."""
        memory, links = (
            x.new_zeros(len(x), self.slots, self.size),
            x.new_zeros(len(x), self.slots, self.slots),
        )
        usage = latest = reading = writing = memory[..., 0]
        read, state, outputs = memory[:, 0], None, []
        for step in x.unbind(1):
            state = self.controller(torch.cat([step, read], 1), state)
            parts = self.interface(state[0]).split(self.parts, 1)
            read_key, read_strength, modes, write_key, write_strength, erase, vector, *gates = parts
            free, allocation, write = (torch.sigmoid(gate) for gate in gates)
            usage = (usage + writing - usage * writing) * (1 - free * reading)
            here = self.content(memory, write_key, write_strength)
            writing = write * torch.lerp(here, self.allocate(usage), allocation)
            kept = 1 - writing[..., None] * torch.sigmoid(erase)[:, None]
            memory = memory * kept + writing[..., None] * vector[:, None]
            faded = (1 - writing[:, :, None] - writing[:, None]) * links
            links = (faded + writing[:, :, None] * latest[:, None]) * (1 - torch.eye(self.slots))
            latest = (1 - writing.sum(1, keepdim=True)) * latest + writing
            backward, forward = (
                (links.mT @ reading[..., None]).squeeze(-1),
                (links @ reading[..., None]).squeeze(-1),
            )
            ways = torch.stack([backward, self.content(memory, read_key, read_strength), forward], -1)
            reading = (ways * modes.softmax(-1)[:, None]).sum(-1)
            read = torch.einsum("ns,nsd->nd", reading, memory)
            outputs.append(self.out(torch.cat([state[0], read], 1)))
        return torch.stack(outputs, 1)


class EndToEndMemoryNet(nn.Module):
    """A question goes several times to the sentences of a story, embedded anew for each hop.

    S. Sukhbaatar, A. Szlam, J. Weston, R. Fergus: End-To-End Memory Networks. NIPS 2015, arXiv:1503.08895.
    With adjacent weights and position encoding.
    """

    def __init__(self, words: int = 20, width: int = 8, hops: int = 3, longest: int = 8) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList(nn.Embedding(words, width) for _ in range(hops + 1))
        self.times = nn.ParameterList(torch.randn(longest, width) / 10 for _ in range(hops + 1))

    @staticmethod
    def positions(count: int, width: int) -> Tensor:
        """Weights f32[count, width] that keep the order of the words in a sum."""
        j, k = torch.arange(1, count + 1)[:, None] / count, torch.arange(1, width + 1) / width
        return (1 - j) - k * (1 - 2 * j)

    def embed(self, hop: int, sentences: Tensor) -> Tensor:
        """f32[..., width] of i64[..., words in a sentence]."""
        x = self.embeddings[hop](sentences)
        return (x * self.positions(*x.shape[-2:])).sum(-2)

    def forward(self, story: Tensor, question: Tensor) -> Tensor:
        """Logits f32[N, words] of stories i64[N, sentences, words] and questions i64[N, words]."""
        u = self.embed(0, question)
        for hop in range(len(self.embeddings) - 1):
            keys = self.embed(hop, story) + self.times[hop][: story.shape[1]]
            values = self.embed(hop + 1, story) + self.times[hop + 1][: story.shape[1]]
            share = (keys @ u[..., None]).softmax(1)
            u = u + (share * values).sum(1)
        *_, last = self.embeddings.parameters()
        return u @ last.T


class DynamicMemory(nn.Module):
    """Episodes: a GRU goes over the facts and is updated as far as a gate finds them to the point.

    A. Kumar et al.: Ask Me Anything: Dynamic Memory Networks for Natural Language Processing. ICML 2016,
    arXiv:1506.07285.
    """

    def __init__(self, words: int = 20, width: int = 8, episodes: int = 2) -> None:
        super().__init__()
        self.episodes = episodes
        self.embed = nn.Embedding(words, width)
        self.read_facts, self.read_question = (nn.GRU(width, width, batch_first=True) for _ in range(2))
        self.gate = nn.Sequential(nn.Linear(4 * width, width), nn.Tanh(), nn.Linear(width, 1), nn.Sigmoid())
        self.attend, self.update = nn.GRUCell(width, width), nn.GRUCell(width, width)
        self.out = nn.Linear(2 * width, words)

    def forward(self, story: Tensor, question: Tensor) -> Tensor:
        """Logits f32[N, words] of i64[N, T, words in a sentence] and i64[N, S]."""
        facts = self.read_facts(self.embed(story).mean(2))[0]
        asked = self.read_question(self.embed(question))[1][0]
        memory = asked
        for _ in range(self.episodes):
            episode = torch.zeros_like(memory)
            for fact in facts.unbind(1):
                alike = [fact * asked, fact * memory, (fact - asked).abs(), (fact - memory).abs()]
                gate = self.gate(torch.cat(alike, 1))
                episode = gate * self.attend(fact, episode) + (1 - gate) * episode
            memory = self.update(episode, memory)
        return self.out(torch.cat([memory, asked], 1))


class ProductKeyMemory(nn.Module):
    """The best of n² keys from the best of twice n half keys; values from a sparse table.

    G. Lample, A. Sablayrolles, M. Ranzato, L. Denoyer, H. Jégou: Large Memory Layers with Product Keys.
    NeurIPS 2019, arXiv:1907.05242.
    """

    def __init__(self, width: int = 8, heads: int = 2, keys: int = 6, best: int = 3) -> None:
        super().__init__()
        self.heads, self.best = heads, best
        self.query = nn.Sequential(nn.Linear(width, heads * width), nn.BatchNorm1d(heads * width))
        self.keys = nn.Parameter(torch.randn(heads, 2, keys, width // 2))
        self.values = nn.EmbeddingBag(keys**2, width, mode="sum")

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, width] to the same shape."""
        q = self.query(x).view(len(x), self.heads, 2, -1)
        scores, places = torch.einsum("nhpd,hpkd->nhpk", q, self.keys).topk(self.best, -1)
        pairs = (scores[:, :, 0, :, None] + scores[:, :, 1, None]).flatten(2)
        slots = (places[:, :, 0, :, None] * self.keys.shape[2] + places[:, :, 1, None]).flatten(2)
        top, chosen = pairs.topk(self.best, -1)
        slots = slots.gather(-1, chosen)
        return x + self.values(slots.flatten(1), per_sample_weights=top.softmax(-1).flatten(1))


class ModernHopfield(nn.Module):
    """Continuous states fall into stored patterns; one step is attention, and steps go on until nothing moves.

    H. Ramsauer et al.: Hopfield Networks is All You Need. ICLR 2021, arXiv:2008.02217.
    """

    def __init__(self, width: int = 6, patterns: int = 4, beta: float = 2.0, most: int = 8) -> None:
        super().__init__()
        self.beta, self.most = beta, most
        self.patterns = nn.Parameter(torch.randn(patterns, width))

    def energy(self, state: Tensor) -> Tensor:
        """f32[N], which no step raises."""
        alike = torch.logsumexp(self.beta * state @ self.patterns.T, -1) / self.beta
        return state.square().sum(-1) / 2 - alike

    def forward(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """The patterns f32[N, width] that f32[N, width] fall into, and their energies."""
        for _ in range(self.most):
            moved = (self.beta * state @ self.patterns.T).softmax(-1) @ self.patterns
            settled = torch.allclose(moved, state, atol=1e-4)
            state = moved
            if settled:
                break
        return state, self.energy(state)


class StackRNN(nn.Module):
    """A stack that is pushed, popped and left alone, each to a degree.

    A. Joulin, T. Mikolov: Inferring Algorithmic Patterns with Stack-Augmented Recurrent Nets. NIPS 2015,
    arXiv:1503.01007.
    """

    def __init__(self, symbols: int = 4, width: int = 8, depth: int = 5, seen: int = 2) -> None:
        super().__init__()
        self.width, self.depth, self.seen = width, depth, seen
        self.embed = nn.Embedding(symbols, width)
        self.recur = nn.Linear(width, width)
        self.from_stack = nn.Linear(seen, width, bias=False)
        self.action, self.push = nn.Linear(width, 3), nn.Linear(width, 1)
        self.out = nn.Linear(width, symbols)

    def forward(self, symbols: Tensor) -> tuple[Tensor, Tensor]:
        """Logits f32[N, T, symbols] of i64[N, T], and the stack f32[N, depth] at the end."""
        stack = torch.full((len(symbols), self.depth), -1.0)
        state, logits = stack.new_zeros(len(symbols), self.width), []
        for symbol in self.embed(symbols).unbind(1):
            state = torch.sigmoid(symbol + self.recur(state) + self.from_stack(stack[:, : self.seen]))
            push, pop, stay = self.action(state).softmax(-1).split(1, 1)
            down = torch.cat([torch.sigmoid(self.push(state)), stack[:, :-1]], 1)
            up = F.pad(stack[:, 1:], (0, 1), value=-1.0)
            stack = push * down + pop * up + stay * stack
            logits.append(self.out(state))
        return torch.stack(logits, 1), stack


class NeuralGPU(nn.Module):
    """A convolutional gated unit runs over a mental image as often as the input is long.

    Ł. Kaiser, I. Sutskever: Neural GPUs Learn Algorithms. ICLR 2016, arXiv:1511.08228.
    """

    def __init__(self, symbols: int = 4, width: int = 6, rows: int = 3) -> None:
        super().__init__()
        self.rows = rows
        self.embed = nn.Embedding(symbols, width)
        self.gates = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.candidate = nn.Conv2d(width, width, 3, padding=1)
        self.out = nn.Linear(width, symbols)

    def forward(self, symbols: Tensor) -> Tensor:
        """Logits f32[N, T, symbols] of i64[N, T]."""
        first = self.embed(symbols).mT[:, :, :, None]
        image = F.pad(first, (0, self.rows - 1))
        for _ in range(symbols.shape[1]):
            update, reset = torch.sigmoid(self.gates(image)).chunk(2, 1)
            image = update * image + (1 - update) * torch.tanh(self.candidate(reset * image))
        return self.out(image[..., 0].mT)


class NeuralProgrammerInterpreter(nn.Module):
    """A core that calls programs by keys, with a stack of states of its own, until each returns.

    S. Reed, N. de Freitas: Neural Programmer-Interpreters. ICLR 2016, arXiv:1511.06279. The environment is a tape
    that the program 0, ACT, moves along; the depth and the number of calls are bounded.
    """

    def __init__(self, programs: int = 4, width: int = 8, depth: int = 2, calls: int = 8) -> None:
        super().__init__()
        self.depth, self.calls = depth, calls
        self.keys, self.bodies = nn.Parameter(torch.randn(programs, 3)), nn.Embedding(programs, width)
        self.encode = nn.Sequential(nn.Linear(3 + 2, width), nn.ReLU())
        self.core = nn.LSTMCell(2 * width, width)
        self.end, self.key, self.arguments = nn.Linear(width, 1), nn.Linear(width, 3), nn.Linear(width, 2)

    def run(
        self, program: Tensor, arguments: Tensor, tape: Tensor, depth: int, trace: list[Tensor]
    ) -> Tensor:
        """The tape after the program; what was called is added to the trace."""
        state = None
        while len(trace) < self.calls:
            seen = self.encode(torch.cat([tape[:, :3], arguments], 1))
            state = self.core(torch.cat([seen, self.bodies(program)], 1), state)
            if torch.sigmoid(self.end(state[0])) > 0.5:  # returns
                break
            callee = (self.key(state[0]) @ self.keys.T).argmax(-1)
            arguments_of_callee = self.arguments(state[0])
            trace.append(callee)
            if callee == 0 or depth == self.depth:
                tape = tape.roll(1, 1) + F.pad(arguments_of_callee, (0, tape.shape[1] - 2))
            else:
                tape = self.run(callee, arguments_of_callee, tape, depth + 1, trace)
        return tape

    def forward(self, tape: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The tape f32[1, T] when the program 1 has returned, and the programs that it has called."""
        trace: list[Tensor] = []
        tape = self.run(torch.ones(1, dtype=torch.long), tape.new_zeros(1, 2), tape, 0, trace)
        return tape, trace


class SparseDistributedMemory(nn.Module):
    """Hard locations within a Hamming distance of the address take part; counters add what is written.

    P. Kanerva: Sparse Distributed Memory. MIT Press, 1988.
    """

    addresses: Tensor
    counters: Tensor

    def __init__(self, bits: int = 16, locations: int = 32, radius: int = 7) -> None:
        super().__init__()
        self.radius = radius
        self.register_buffer("addresses", torch.randint(0, 2, (locations, bits)))
        self.register_buffer("counters", torch.zeros(locations, bits))

    def near(self, address: Tensor) -> Tensor:
        """f32[N, locations], one where a location takes part."""
        distance = (address.long()[:, None] ^ self.addresses).sum(-1)
        return (distance <= self.radius).to(self.counters.dtype)

    def forward(self, address: Tensor, word: Tensor) -> Tensor:
        """Writes words i64[N, bits] at their addresses, then reads there: f32[N, bits] of ones and zeros."""
        near = self.near(address)
        self.counters += near.T @ (2.0 * word - 1)
        return (near @ self.counters / math.sqrt(len(self.counters)) > 0).to(self.counters.dtype)
