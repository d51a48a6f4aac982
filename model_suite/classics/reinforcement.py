"""Agents: values of actions, and policies."""

# mypy: no-warn-return-any
# (what a module returns is Any in torch)

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def mlp(inputs: int, outputs: int, hidden: int = 12) -> nn.Sequential:
    """Two layers with ReLU between."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


class DeepQNetwork(nn.Module):
    """Four frames to a value for each action; the target comes from an old copy.

    V. Mnih et al.: Human-level Control through Deep Reinforcement Learning. Nature 518, 2015.
    """

    def __init__(self, actions: int = 4, width: int = 4, discount: float = 0.99) -> None:
        super().__init__()
        self.discount = discount
        self.online, self.target = self.net(actions, width), self.net(actions, width)
        self.target.load_state_dict(self.online.state_dict())
        self.target.requires_grad_(False)

    @staticmethod
    def net(actions: int, width: int) -> nn.Sequential:
        """Values f32[N, actions] of f32[N, 4, 36, 36]."""
        return nn.Sequential(
            nn.Conv2d(4, width, 8, 4),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 4, 2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2 * width * 9, 16),
            nn.ReLU(),
            nn.Linear(16, actions),
        )

    def forward(
        self, state: Tensor, action: Tensor, reward: Tensor, following: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Values of states f32[N, 4, 36, 36], and the loss with i64[N], f32[N] and the states that follow."""
        values = self.online(state)
        with torch.no_grad():
            wanted = reward + self.discount * self.target(following).amax(1)
        chosen = values.gather(1, action[:, None]).squeeze(1)
        return values, F.smooth_l1_loss(chosen, wanted)


class DuelingNetwork(nn.Module):
    """The value of the state, and the advantage of each action over their mean, with noisy layers.

    Z. Wang et al.: Dueling Network Architectures for Deep Reinforcement Learning. ICML 2016, arXiv:1511.06581.
    M. Fortunato et al.: Noisy Networks for Exploration. ICLR 2018, arXiv:1706.10295.
    """

    def __init__(self, inputs: int = 6, width: int = 12, actions: int = 4) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Linear(inputs, width), nn.ReLU())
        self.value, self.advantage = NoisyLinear(width, 1), NoisyLinear(width, actions)

    def forward(self, state: Tensor) -> Tensor:
        """Values f32[N, actions] of states f32[N, inputs]."""
        x = self.features(state)
        advantage = self.advantage(x)
        return self.value(x) + advantage - advantage.mean(1, keepdim=True)


class NoisyLinear(nn.Linear):
    """A linear layer whose weights are drawn in each pass, with factorised noise of learnt size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.scale = nn.Parameter(torch.full((outputs, inputs), 0.5 / math.sqrt(inputs)))
        self.bias_scale = nn.Parameter(torch.full((outputs,), 0.5 / math.sqrt(inputs)))

    @staticmethod
    def draw(size: int) -> Tensor:
        """Noise f32[size], whose products have the right spread."""
        noise = torch.randn(size)
        return noise.sign() * noise.abs().sqrt()

    def forward(self, x: Tensor) -> Tensor:
        """f32[N, inputs] to f32[N, outputs]."""
        rows, columns = self.draw(self.out_features), self.draw(self.in_features)
        return F.linear(
            x, self.weight + self.scale * torch.outer(rows, columns), self.bias + self.bias_scale * rows
        )


class ImplicitQuantileNet(nn.Module):
    """The value at any quantile: cosines of it are multiplied into the features.

    W. Dabney, G. Ostrovski, D. Silver, R. Munos: Implicit Quantile Networks for Distributional Reinforcement
    Learning. ICML 2018, arXiv:1806.06923.
    """

    def __init__(
        self, inputs: int = 6, width: int = 12, actions: int = 4, cosines: int = 8, draws: int = 5
    ) -> None:
        super().__init__()
        self.cosines, self.draws = cosines, draws
        self.features, self.quantile = nn.Linear(inputs, width), nn.Linear(cosines, width)
        self.value = mlp(width, actions)

    def forward(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """The greedy actions i64[N], and values f32[N, draws, actions] at random quantiles."""
        tau = torch.rand(len(state), self.draws, 1)
        waves = torch.cos(math.pi * tau * torch.arange(self.cosines))
        values = self.value(F.relu(self.features(state))[:, None] * F.relu(self.quantile(waves)))
        return values.mean(1).argmax(-1), values


class ActorCriticLSTM(nn.Module):
    """A3C: one recurrent net with a policy and a value; returns and the loss are made backwards in time.

    V. Mnih et al.: Asynchronous Methods for Deep Reinforcement Learning. ICML 2016, arXiv:1602.01783.
    """

    def __init__(self, inputs: int = 6, width: int = 8, actions: int = 4, discount: float = 0.99) -> None:
        super().__init__()
        self.discount = discount
        self.look, self.cell = nn.Sequential(nn.Linear(inputs, width), nn.ELU()), nn.LSTMCell(width, width)
        self.policy, self.value = nn.Linear(width, actions), nn.Linear(width, 1)

    def forward(self, states: Tensor, rewards: Tensor) -> tuple[Tensor, Tensor]:
        """Actions i64[N, T] drawn in states f32[N, T, inputs], and the loss with rewards f32[N, T]."""
        memory, actions, likely, values, entropies = None, [], [], [], []
        for state in self.look(states).unbind(1):
            memory = self.cell(state, memory)
            distribution = torch.distributions.Categorical(logits=self.policy(memory[0]))
            action = distribution.sample()
            actions.append(action)
            likely.append(distribution.log_prob(action))
            entropies.append(distribution.entropy())
            values.append(self.value(memory[0]).squeeze(1))
        total, loss = values[-1].detach(), rewards.new_zeros(())
        for time in reversed(range(len(actions))):
            total = rewards[:, time] + self.discount * total
            advantage = total - values[time]
            actor = likely[time] * advantage.detach() + 0.01 * entropies[time]
            loss = loss + (0.5 * advantage.square() - actor).mean()
        return torch.stack(actions, 1), loss


class SoftActor(nn.Module):
    """A Gaussian squashed by tanh, drawn so that gradients pass, judged by the lesser of two critics.

    T. Haarnoja, A. Zhou, P. Abbeel, S. Levine: Soft Actor-Critic. ICML 2018, arXiv:1801.01290.
    """

    def __init__(self, state: int = 6, action: int = 2) -> None:
        super().__init__()
        self.policy = mlp(state, 2 * action)
        self.critics = nn.ModuleList(mlp(state + action, 1) for _ in range(2))
        self.log_temperature = nn.Parameter(torch.zeros(()))

    def forward(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """Actions f32[N, action] in states f32[N, state], and the actor's loss."""
        mean, log_deviation = self.policy(state).chunk(2, -1)
        deviation = log_deviation.clamp(-20, 2).exp()
        raw = mean + deviation * torch.randn_like(mean)
        action = torch.tanh(raw)
        likely = torch.distributions.Normal(mean, deviation).log_prob(raw) - torch.log(
            1 - action.square() + 1e-6
        )
        judged = torch.stack([critic(torch.cat([state, action], 1)) for critic in self.critics]).amin(0)
        loss = self.log_temperature.exp().detach() * likely.sum(1, keepdim=True) - judged
        return action, loss.mean()


class AlphaZero(nn.Module):
    """A tower of residual blocks over the board, with a policy and a value at its top.

    D. Silver et al.: A General Reinforcement Learning Algorithm that Masters Chess, Shogi, and Go through Self-play.
    Science 362, 2018, arXiv:1712.01815.
    """

    def __init__(self, planes: int = 3, side: int = 5, width: int = 6, depth: int = 2) -> None:
        super().__init__()

        def conv(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
            padding = kernel // 2
            return nn.Sequential(
                nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=False), nn.BatchNorm2d(outputs)
            )

        self.stem = conv(planes, width, 3)
        self.tower = nn.ModuleList(
            nn.Sequential(conv(width, width, 3), nn.ReLU(), conv(width, width, 3)) for _ in range(depth)
        )
        self.policy = nn.Sequential(
            conv(width, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(2 * side**2, side**2 + 1)
        )
        self.value = nn.Sequential(conv(width, 1, 1), nn.ReLU(), nn.Flatten(), mlp(side**2, 1), nn.Tanh())

    def forward(self, board: Tensor, legal: Tensor) -> tuple[Tensor, Tensor]:
        """Chances f32[N, moves] of legal moves bool[N, moves] on f32[N, planes, H, W], and who wins f32[N, 1]."""
        x = F.relu(self.stem(board))
        for block in self.tower:
            x = F.relu(x + block(x))
        return self.policy(x).masked_fill(~legal, -math.inf).softmax(-1), self.value(x)


class QMIX(nn.Module):
    """Values of agents are mixed by weights that are never negative, made from the state of the world.

    T. Rashid et al.: QMIX: Monotonic Value Function Factorisation for Deep Multi-Agent Reinforcement Learning.
    ICML 2018, arXiv:1803.11485.
    """

    def __init__(
        self, agents: int = 3, inputs: int = 4, state: int = 5, width: int = 6, actions: int = 3
    ) -> None:
        super().__init__()
        self.agents, self.width = agents, width
        self.look, self.cell, self.value = (
            nn.Linear(inputs + agents, width),
            nn.GRUCell(width, width),
            nn.Linear(width, actions),
        )
        self.w1, self.b1 = nn.Linear(state, agents * width), nn.Linear(state, width)
        self.w2, self.b2 = nn.Linear(state, width), mlp(state, 1)

    def forward(self, seen: Tensor, states: Tensor) -> Tensor:
        """Joint values f32[N, T] of what agents see f32[N, T, agents, inputs] and states f32[N, T, state]."""
        n = len(seen)
        who = torch.eye(self.agents).repeat(n, 1)
        h, totals = seen.new_zeros(n * self.agents, self.width), []
        for step, state in zip(seen.unbind(1), states.unbind(1), strict=True):
            h = self.cell(F.relu(self.look(torch.cat([step.flatten(0, 1), who], 1))), h)
            best = self.value(h).amax(1).view(n, 1, self.agents)
            hidden = F.elu(best @ self.w1(state).abs().view(n, self.agents, -1) + self.b1(state)[:, None])
            totals.append((hidden @ self.w2(state).abs()[..., None]).view(n, 1) + self.b2(state))
        return torch.cat(totals, 1)
