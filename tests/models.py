"""Models that many tests make."""

from torch import nn


class Of(nn.Module):
    """A model that is one function of its arguments."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *args):
        return self.function(*args)


class With(nn.Module):
    """A model that is one function of itself, which holds some modules, and its arguments."""

    def __init__(self, function, **modules):
        super().__init__()
        self.function = function
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, *args, **kwargs):
        return self.function(self, *args, **kwargs)


class Function(With):
    """The same of one argument, which is called ``x``."""

    def forward(self, x):
        return self.function(self, x)
