"""What units read, and bodies return, otherwise than before, in words.

Values are called as they are in the new body, so that ``div#2, not div#3`` is about two values. What the new body
does not have is called as it was, ``the old div#2`` if another has that name now.
"""

from __future__ import annotations

from collections.abc import Sequence

from torchlens_core.diff import titles
from torchlens_core.diff.flow import Flow, Slots
from torchlens_core.diff.matching import Matching
from torchlens_core.diff.titles import NEW_INPUT, OLD_INPUT
from torchlens_core.snapshot.outline import Operand, Ref, mapped, refs_of

#: An operand's position, what it was, and what it is.
Wrong = tuple[int, Operand, Operand]


class Edges:
    """The wording for one pair of bodies."""

    def __init__(self, matching: Matching, flow: Flow) -> None:
        self._matching = matching
        self._flow = flow

    def read(self, old: Sequence[Operand], new: Sequence[Operand]) -> str:
        """What differs between operands; empty if nothing does."""
        if self._flow.is_unchanged and old == new:
            return ""
        before, after = _values(old), _values(new)
        wrong = self._flow.compared(before, after)
        if wrong is None:
            now = ", ".join(titles.names_of(after, NEW_INPUT)) or "nothing"
            was = ", ".join(self._old_names(before)) or "nothing"
            return (
                f"reads {now}, not {was}" if now != was else f"reads {len(after)} values, not {len(before)}"
            )
        return self.crossed(wrong)

    def crossed(self, wrong: Sequence[Wrong]) -> str:
        """The same for those at some positions; empty if there are none."""
        if not wrong:
            return ""
        if self._flow.is_swapped(wrong):
            return f"inputs {' and '.join(str(n) for n, _, _ in wrong)} swapped"
        return "; ".join(f"input {n}{self._rewired(old, new)}" for n, old, new in wrong)

    def returned(self, slots: Slots) -> list[str]:
        """What the new body returns otherwise; ``slots`` says which result is which."""
        old, new = self._matching.old.returns, self._matching.new.returns
        lines = []
        for a, b in slots.crossed.items():
            now, was = self._names(old[a], new[b])
            lines.append(f"~ returns {now}, not {was}")
        lines += [f"~ no longer returns {self._old_name(old[n])}" for n in slots.gone]
        lines += [f"~ returns {titles.operand_name(new[n], NEW_INPUT)} too" for n in slots.came]
        is_turned = any(a != b for a, b in (*slots.same.items(), *slots.crossed.items()))
        if is_turned and not slots.gone and not slots.came:
            lines.append("~ returns its values in another order")
        return lines

    def _rewired(self, old: Operand, new: Operand) -> str:
        """How an operand differs: by its value, or by what is known of it."""
        traits = []
        certain = [all(ref.certain for ref in refs_of(one)) for one in (old, new)]
        read = [all(ref.is_read for ref in refs_of(one)) for one in (old, new)]
        if certain[0] != certain[1]:
            traits.append("certain now" if certain[1] else "no longer certain")
        if read[0] != read[1]:
            traits.append("read now" if read[1] else "overwritten now, and no longer read")
        now, was = self._names(old, new)
        if traits and self._flow.is_same(_plain(old), _plain(new)):
            return f", {now}, is {' and '.join(traits)}"
        return ", ".join([f" is {now}, not {was}", *(f"and is {trait}" for trait in traits)])

    def _names(self, old: Operand, new: Operand) -> tuple[str, str]:
        """The names of two values that are not the same: never the same either."""
        for with_passes in (False, True):
            now = titles.operand_name(new, NEW_INPUT, with_passes)
            was = self._old_name(old, with_passes)
            if now != was:
                return now, was
        return now, f"the old {titles.operand_name(old, OLD_INPUT, with_passes=True)}"

    def _old_name(self, operand: Operand, with_passes: bool = False) -> str:
        return titles.operand_name(mapped(operand, self._flow.renamed), OLD_INPUT, with_passes)

    def _old_names(self, operands: Sequence[Operand]) -> list[str]:
        return titles.names_of([mapped(one, self._flow.renamed) for one in operands], OLD_INPUT)


def _plain(operand: Operand) -> Operand:
    return mapped(operand, lambda ref: ref._replace(certain=True, is_read=True))


def _values(operands: Sequence[Operand]) -> Sequence[Operand]:
    """Operands without parameters and buffers, which are compared by themselves."""
    if all(isinstance(one, Ref) and one.name[0] != "@" for one in operands):
        return operands
    return [one for one in operands if any(ref.name[0] != "@" for ref in refs_of(one))]
