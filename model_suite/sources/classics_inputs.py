"""What the models of `model_suite.classics` are run with: random, and of the smallest sensible size."""

from __future__ import annotations

import torch

from model_suite.case import Inputs
from model_suite.sources.arguments import read


def make(arguments: str) -> Inputs:
    """Random tensors as the text has them, or what the function that it names returns.

    >>> floats, integers = make("f32[2,3] i64[4]<20")[0]
    >>> floats.shape, integers.max() < 20
    (torch.Size([2, 3]), tensor(True))
    """
    if arguments.isidentifier():
        made: Inputs = globals()[arguments]()
        return made
    return tuple(read(one) for one in arguments.split()), {}


def plan_and_steps() -> Inputs:
    """Two plans, and how many steps are wanted."""
    return (torch.rand(2, 4), 3), {}


def series_and_times() -> Inputs:
    """Two series of four steps, at times that are not even."""
    return (torch.rand(2, 4, 2), torch.rand(4).cumsum(0)), {}


def state_and_times() -> Inputs:
    """Two states, and four times."""
    return (torch.rand(2, 4), torch.linspace(0, 1, 4)), {}


def sound_and_letters() -> Inputs:
    """Eight frames of six bins, and three letters; 0 is the blank."""
    return (torch.rand(2, 8, 6), torch.randint(1, 8, (2, 3))), {}


def bits() -> Inputs:
    """Three addresses, and the words that go there."""
    return (torch.randint(2, (3, 16)), torch.randint(2, (3, 16))), {}


def bits_of_one() -> Inputs:
    """Three vectors of zeros and ones."""
    return (torch.randint(2, (3, 8)).float(),), {}


def noise_and_step() -> Inputs:
    """Two noisy pictures, and how noisy they are."""
    return (torch.randn(2, 1, 8, 8), torch.tensor([3, 70])), {}


def graph(width: int = 4) -> Inputs:
    """Six nodes on a ring, with a chord."""
    ring = torch.eye(6).roll(1, 0)
    ring[0, 3] = 1
    return (torch.rand(6, width), ((ring + ring.T) > 0).float()), {}


def wide_graph() -> Inputs:
    """`graph` with six features a node."""
    return graph(6)


def molecule() -> Inputs:
    """A chain of four atoms, with edges both ways."""
    pairs = torch.tensor([[0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2]])
    return (torch.rand(4, 4), pairs, torch.rand(6, 2)), {}


def relations() -> Inputs:
    """Three objects, each of which acts on the next."""
    return (torch.rand(3, 4), torch.eye(3).roll(1, 0), torch.eye(3)), {}


def dependencies() -> Inputs:
    """Five words, with the place of each one's head."""
    return (torch.randint(20, (5,)), [1, -1, 4, 4, 1]), {}


def parsed() -> Inputs:
    """Four words, with a binary tree over their places."""
    return (torch.randint(20, (4,)), ((0, 1), (2, 3))), {}


def atoms() -> Inputs:
    """Four atoms, and where they are."""
    return (torch.randint(5, (4,)), torch.rand(4, 3)), {}


def image_and_layout() -> Inputs:
    """What colour is the circle that is above something red?"""
    above = ("transform", "above", ("find", "red"))
    return (torch.rand(2, 3, 12, 12), ("describe", "colour", ("and", "", ("find", "circle"), above))), {}


def image_and_question() -> Inputs:
    """Two pictures, and questions of five words."""
    return (torch.rand(2, 3, 12, 12), torch.randint(12, (2, 5))), {}


def values_and_dense() -> Inputs:
    """Three categories and two numbers of each of four people."""
    return (torch.randint(3, (4, 3)), torch.rand(4, 2)), {}


def bags() -> Inputs:
    """Two people, and for each feature the bags of values that they have."""
    indices = [torch.randint(6, (count,)) for count in (3, 4, 2)]
    return (torch.rand(2, 4), indices, [torch.tensor([0, start]) for start in (1, 2, 1)]), {}


def users_and_items() -> Inputs:
    """Three people, what they took, and how often it is taken."""
    return (torch.randint(6, (3,)), torch.randint(8, (3,)), 0.1 + torch.rand(3)), {}


def seen_and_asked() -> Inputs:
    """Four places with their values, and three more places."""
    return (torch.rand(2, 4, 1), torch.rand(2, 4, 1), torch.rand(2, 3, 1)), {}


def transition() -> Inputs:
    """States, actions, rewards, and the states that follow."""
    state, following = torch.rand(2, 4, 36, 36), torch.rand(2, 4, 36, 36)
    return (state, torch.randint(4, (2,)), torch.rand(2), following), {}


def board() -> Inputs:
    """Boards of five by five; all moves are legal but the first."""
    return (torch.rand(2, 3, 5, 5), (torch.arange(26) > 0).expand(2, -1)), {}


def observation_and_plan() -> Inputs:
    """What is seen, and three actions."""
    return (torch.rand(2, 6), torch.randint(3, (2, 3))), {}


def map_and_place() -> Inputs:
    """Obstacles and goal, and where one is."""
    return (torch.rand(2, 2, 8, 8), torch.randint(8, (2, 2))), {}


def trajectory() -> Inputs:
    """Returns that are wanted, states, actions and times."""
    times = torch.arange(4).expand(2, -1)
    return (torch.rand(2, 4, 1), torch.rand(2, 4, 4), torch.rand(2, 4, 2), times), {}


def labelled() -> Inputs:
    """Two pictures of each of three people."""
    return (torch.rand(6, 1, 16, 16), torch.tensor([0, 0, 1, 1, 2, 2])), {}


def shots() -> Inputs:
    """One example of each of three classes, and two questions."""
    return (torch.rand(3, 1, 16, 16), torch.eye(3), torch.rand(2, 1, 16, 16)), {}
