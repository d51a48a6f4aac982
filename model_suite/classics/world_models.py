"""Agents that model their world: dreams, plans inside the net, whole episodes as sequences."""

# mypy: no-warn-return-any
# (what a module returns is Any in torch)

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def mlp(inputs: int, outputs: int, hidden: int = 12) -> nn.Sequential:
    """Two layers with ReLU between."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


class MuZero(nn.Module):
    """The state is unrolled by a learnt model along some actions, with a reward, a policy and a value at each.

    J. Schrittwieser et al.: Mastering Atari, Go, Chess and Shogi by Planning with a Learned Model. Nature 588, 2020,
    arXiv:1911.08265.
    """

    def __init__(self, inputs: int = 6, state: int = 5, actions: int = 3) -> None:
        super().__init__()
        self.actions = actions
        self.represent, self.predict = mlp(inputs, state), mlp(state, actions + 1)
        self.dynamics = mlp(state + actions, state + 1)

    @staticmethod
    def scaled(state: Tensor) -> Tensor:
        """To the range of the actions, [0, 1]."""
        low, high = state.aminmax(dim=1, keepdim=True)
        return (state - low) / (high - low + 1e-5)

    def forward(self, observation: Tensor, plan: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Policies f32[N, K + 1, actions], values f32[N, K + 1], rewards f32[N, K] of f32[N, inputs], i64[N, K]."""
        state = self.scaled(self.represent(observation))
        predictions, rewards = [self.predict(state)], []
        for action in F.one_hot(plan, self.actions).unbind(1):
            state, reward = self.dynamics(torch.cat([state, action], 1)).tensor_split((-1,), 1)
            state = self.scaled(state)
            predictions.append(self.predict(state))
            rewards.append(reward)
        policies, values = torch.stack(predictions, 1).split([self.actions, 1], -1)
        return policies.softmax(-1), values.squeeze(-1), torch.cat(rewards, 1)


class ValueIterationNet(nn.Module):
    """Planning as convolutions: values spread over the map and a maximum is taken, again and again.

    A. Tamar, Y. Wu, G. Thomas, S. Levine, P. Abbeel: Value Iteration Networks. NIPS 2016, arXiv:1602.02867.
    """

    def __init__(self, width: int = 6, actions: int = 4, rounds: int = 5) -> None:
        super().__init__()
        self.rounds = rounds
        self.reward = nn.Sequential(nn.Conv2d(2, width, 3, padding=1), nn.Conv2d(width, 1, 1, bias=False))
        self.from_reward, self.from_value = (
            nn.Conv2d(1, actions, 3, padding=1, bias=False) for _ in range(2)
        )
        self.act = nn.Linear(actions, actions, bias=False)

    def forward(self, grid: Tensor, place: Tensor) -> Tensor:
        """Logits f32[N, actions] at places i64[N, 2] of maps f32[N, 2, H, W], obstacles and goal."""
        reward = self.from_reward(self.reward(grid))
        value = reward.amax(1, keepdim=True)
        for _ in range(self.rounds):
            q = reward + self.from_value(value)
            value = q.amax(1, keepdim=True)
        return self.act(q[torch.arange(len(q)), :, place[:, 0], place[:, 1]])


class WorldModel(nn.Module):
    """V sees, M dreams of what comes next as a mixture, C acts on both: here it acts within its dream.

    D. Ha, J. Schmidhuber: Recurrent World Models Facilitate Policy Evolution. NeurIPS 2018, arXiv:1803.10122.
    """

    def __init__(
        self, latent: int = 4, width: int = 8, actions: int = 2, mixtures: int = 3, steps: int = 3
    ) -> None:
        super().__init__()
        self.steps, self.mixtures = steps, mixtures
        self.v = nn.Sequential(
            nn.Conv2d(3, 4, 4, 2),
            nn.ReLU(),
            nn.Conv2d(4, 8, 4, 2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32, 2 * latent),
        )
        self.m, self.dream = nn.LSTMCell(latent + actions, width), nn.Linear(width, 3 * latent * mixtures)
        self.c = nn.Linear(latent + width, actions)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Latents f32[N, steps, latent] and actions f32[N, steps, actions] of a dream about f32[N, 3, 16, 16]."""
        mean, log_variance = self.v(image).chunk(2, 1)
        z = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        h = c = z.new_zeros(len(z), self.m.hidden_size)
        latents, actions = [], []
        for _ in range(self.steps):
            action = torch.tanh(self.c(torch.cat([z, h], 1)))
            h, c = self.m(torch.cat([z, action], 1), (h, c))
            shares, means, logs = self.dream(h).view(len(z), 3, -1, self.mixtures).unbind(1)
            chosen = shares.softmax(-1).flatten(0, 1).multinomial(1).view(*z.shape, 1)
            z = torch.normal(means.gather(2, chosen), logs.gather(2, chosen).exp()).squeeze(2)
            latents.append(z)
            actions.append(action)
        return torch.stack(latents, 1), torch.stack(actions, 1)


class RecurrentStateSpaceModel(nn.Module):
    """Dreamer's: a deterministic path and categorical draws, with straight-through gradients, prior and posterior.

    D. Hafner, T. Lillicrap, M. Norouzi, J. Ba: Mastering Atari with Discrete World Models. ICLR 2021,
    arXiv:2010.02193.
    """

    def __init__(
        self, inputs: int = 5, actions: int = 2, width: int = 6, groups: int = 3, classes: int = 4
    ) -> None:
        super().__init__()
        self.groups, self.classes = groups, classes
        self.cell = nn.GRUCell(groups * classes + actions, width)
        self.prior, self.posterior = mlp(width, groups * classes), mlp(width + inputs, groups * classes)
        self.decode = mlp(width + groups * classes, inputs)

    def draw(self, logits: Tensor) -> Tensor:
        """One-hot draws f32[N, groups · classes], whose gradient is that of the chances."""
        chances = logits.unflatten(-1, (self.groups, self.classes)).softmax(-1)
        drawn = F.one_hot(torch.distributions.Categorical(chances).sample(), self.classes)
        return (drawn + chances - chances.detach()).flatten(1)

    def forward(self, seen: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstructions f32[N, T, inputs] of f32[N, T, inputs] under f32[N, T, actions], and the divergence."""
        h = seen.new_zeros(len(seen), self.cell.hidden_size)
        z = seen.new_zeros(len(seen), self.groups * self.classes)
        decoded, divergence = [], seen.new_zeros(())
        for picture, action in zip(seen.unbind(1), actions.unbind(1), strict=True):
            h = self.cell(torch.cat([z, action], 1), h)
            before, after = self.prior(h), self.posterior(torch.cat([h, picture], 1))
            z = self.draw(after)
            shape = (self.groups, self.classes)
            log_p, log_q = (logits.unflatten(-1, shape).log_softmax(-1) for logits in (before, after))
            divergence = divergence + F.kl_div(log_p, log_q, log_target=True, reduction="sum")
            decoded.append(self.decode(torch.cat([h, z], 1)))
        return torch.stack(decoded, 1), divergence


class DecisionTransformer(nn.Module):
    """Returns wanted, states and actions as one sequence; a causal transformer says the next action.

    L. Chen et al.: Decision Transformer: Reinforcement Learning via Sequence Modeling. NeurIPS 2021,
    arXiv:2106.01345.
    """

    def __init__(self, state: int = 4, action: int = 2, width: int = 8, longest: int = 8) -> None:
        super().__init__()
        self.returns, self.states, self.actions = (
            nn.Linear(1, width),
            nn.Linear(state, width),
            nn.Linear(action, width),
        )
        self.times = nn.Embedding(longest, width)
        self.norm = nn.LayerNorm(width)
        layer = nn.TransformerEncoderLayer(width, 2, 16, 0, "gelu", batch_first=True, norm_first=True)
        self.transformer = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.act = nn.Sequential(nn.Linear(width, action), nn.Tanh())

    def forward(self, wanted: Tensor, states: Tensor, actions: Tensor, times: Tensor) -> Tensor:
        """Actions f32[N, T, action] of f32[N, T, 1], f32[N, T, state], f32[N, T, action] and i64[N, T]."""
        time = self.times(times)
        parts = [self.returns(wanted) + time, self.states(states) + time, self.actions(actions) + time]
        x = self.norm(torch.stack(parts, 2).flatten(1, 2))
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        return self.act(self.transformer(x, mask=mask, is_causal=True)[:, 1::3])
