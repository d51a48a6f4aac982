"""Where one line of a program calls one module after another: ``for block in self.blocks: x = x + block(x)``.

The ``+`` there runs once a block. It is one place of the program, but no loop: its passes belong to different
blocks, and a picture that drew them as one box would tie all blocks together.
"""

from __future__ import annotations

from torchlens_core.recording import Recording

#: The modules that the lines of a ``forward`` which walk over modules have come to.
Context = tuple[str, ...]


class Walks:
    """For each node and call of a pass, how far the walks around it have come."""

    def __init__(self, recording: Recording) -> None:
        walked = _walked(recording)
        self._of_node: dict[int, Context] = {}
        self._of_call: dict[int, Context] = {}
        if walked:
            self._sweep(recording, walked)

    def of_node(self, index: int) -> Context:
        """Addresses, one for each walk in the same ``forward``."""
        return self._of_node.get(index, ())

    def of_call(self, index: int) -> Context:
        """The same for a call; of one that is itself a step of a walk, nothing."""
        return self._of_call.get(index, ())

    def _sweep(self, recording: Recording, walked: dict[int, set[object]]) -> None:
        now: dict[int, dict[object, str]] = {}
        calls = sorted(recording.calls, key=lambda call: (call.first, call.index))
        begun = 0
        for node in recording.nodes:
            while begun < len(calls) and calls[begun].first <= node.index:
                call = calls[begun]
                begun += 1
                parent = call.parent.index if call.parent is not None else -1
                if call.chain in walked.get(parent, ()):
                    now.setdefault(parent, {})[call.chain] = call.address
                elif parent in now:
                    self._of_call[call.index] = tuple(now[parent].values())
            inside = recording.call_of[node.index]
            here = inside.index if inside is not None else -1
            if here in now:
                self._of_node[node.index] = tuple(now[here].values())


def _walked(recording: Recording) -> dict[int, set[object]]:
    """For each call the places in its ``forward`` that call several modules."""
    addresses: dict[int, dict[object, set[str]]] = {}
    for call in recording.calls:
        parent = call.parent.index if call.parent is not None else -1
        addresses.setdefault(parent, {}).setdefault(call.chain, set()).add(call.address)
    found = {
        parent: {chain for chain, names in chains.items() if len(names) > 1}
        for parent, chains in addresses.items()
    }
    return {parent: chains for parent, chains in found.items() if chains}
