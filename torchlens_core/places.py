"""Layers: places in the program, and the names that they get.

A layer is a place: the module calls on the way to it (as places themselves), the chain of lines from the
module's ``forward`` to the call, the function and the parameters used. Each run of it is a pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from types import CodeType
from typing import Any

from torchlens_core.sites import Chain, folded


class Layer:
    """A place at which ops run, as the recorder numbers it."""

    __slots__ = ("address", "layer_type", "name", "passes", "stable_number", "total_number", "type_number")

    def __init__(
        self, layer_type: str, name: str, address: str, type_number: int, total_number: int
    ) -> None:
        self.layer_type = layer_type
        #: Public name of the function.
        self.name = name
        #: Address of the module that the place belongs to.
        self.address = address
        #: Number among the layers of its type, and among all.
        self.type_number = type_number
        self.total_number = total_number
        #: Number among the layers of this name in its module.
        self.stable_number = 1
        self.passes = 0

    @property
    def label(self) -> str:
        """The seed's label: ``conv2d_3_7``; ``input_1`` for what is no op."""
        short = f"{self.layer_type}_{self.type_number}"
        return f"{short}_{self.total_number}" if self.total_number else short

    @property
    def short_label(self) -> str:
        """``conv2d_3``."""
        return f"{self.layer_type}_{self.type_number}"

    @property
    def stable_name(self) -> str:
        """A name that only changes inside its module rename: ``layer1.0:relu#2``."""
        name = f"{self.address}:{self.name}"
        return name if self.stable_number == 1 else f"{name}#{self.stable_number}"


class Site:
    """One chain that leads to a layer; recursion gives a layer several."""

    __slots__ = ("chain", "layer")

    def __init__(self, layer: Layer, chain: Chain) -> None:
        self.layer = layer
        self.chain = chain


#: What parameters have for a site: they are no entries of a history, and have no labels.
NO_SITE = Site(Layer("parameter", "parameter", "", 0, 0), ())

#: A chain, or what `fold` makes of it, the function and the parameters.
SiteKey = tuple[tuple[Any, ...], str, tuple[int, ...]]


class Place:
    """A module at one place in the program: called from one line of one place of its parent."""

    __slots__ = ("above", "address", "module", "number", "sites")

    def __init__(self, number: int, address: str, module: int, parent: Place | None) -> None:
        self.number = number
        self.address = address
        self.module = module
        #: The places on the way here, by module.
        self.above: dict[int, Place] = {**parent.above, parent.module: parent} if parent else {}
        self.sites: dict[SiteKey, Site] = {}


class Places:
    """All places of a pass."""

    def __init__(self) -> None:
        self.root = Place(0, "", 0, None)
        self._count = 0
        self._inner: dict[tuple[int, tuple[Any, ...], int], Place] = {}

    def find(self, outer: Place, chain: Chain, module: int) -> Place | None:
        """The place of ``module`` called from ``outer`` through ``chain``, if it was called before."""
        return self._inner.get((outer.number, chain, module))

    def enter(
        self, outer: Place, chain: Chain, stack: Sequence[tuple[CodeType, int]], module: int, address: str
    ) -> Place:
        """The same, made at the first call; a module that calls itself stays where it is."""
        key = (outer.number, folded(chain, stack), module)
        place = outer if outer.module == module else outer.above.get(module)
        place = place or self._inner.get(key)
        if place is None:
            self._count += 1
            place = Place(self._count, address, module, outer)
        self._inner[key] = self._inner[outer.number, chain, module] = place
        return place


class Layers:
    """All layers of a pass, numbered in the order in which they first run."""

    def __init__(self) -> None:
        self._of_type: Counter[str] = Counter()
        self._of_stable_name: Counter[tuple[str, str]] = Counter()
        self._total = 0
        #: The stack behind each chain; it keeps the code objects, so that no id is used twice.
        self.stacks: dict[Chain, list[tuple[CodeType, int]]] = {}

    def new_site(self, place: Place, key: SiteKey, layer_type: str) -> Site:
        """The site of a call that is met for the first time; the stack behind its chain is in `stacks`."""
        chain, name, parameters = key
        place_key = (folded(chain, self.stacks[chain]), name, parameters)
        known = place.sites.get(place_key)
        layer = known.layer if known else self.new(layer_type, name, place.address)
        site = Site(layer, chain)
        place.sites.setdefault(place_key, site)
        place.sites[key] = site
        return site

    def new(self, layer_type: str, name: str, address: str, counted: bool = True) -> Layer:
        """A new layer; ``counted`` ones get a place in the overall numbering."""
        self._of_type[layer_type] += 1
        self._total += counted
        layer = Layer(layer_type, name, address, self._of_type[layer_type], self._total if counted else 0)
        self._of_stable_name[address, name] += 1
        layer.stable_number = self._of_stable_name[address, name]
        return layer
