"""The ATen kernels of a pass, seen from beneath the recorder: an oracle of what ran, and what it read.

A dispatch mode notes each kernel in the call of a torch function that it belongs to, and keeps a shadow of all
memory, which tells who last wrote the bytes that the kernel reads. Nothing here asks the recorder anything but
which node it made of a call.

A kernel that only looks at memory differently (`view`, `select`) reads nothing. What a call reads is
what its kernels read of bytes that other calls have written. A call without other kernels is a view, and
reads the bytes that it shows.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from types import CodeType, FrameType
from typing import Any

from torch import Tensor

from torchlens_core import internals, structure
from torchlens_core.shadow import NOBODY, Shadow
from torchlens_core.sites import stack_of

#: One thing read: the number of the call that wrote it, or `NOBODY`, and the storage.
Read = tuple[int, int]

#: Kernels that fill what they are given and do not read it; those that fill ``out`` are known by their schema.
_FILLING = frozenset(
    """
    bernoulli_ cauchy_ copy_ exponential_ fill_ geometric_ log_normal_ normal_ random_ uniform_ zero_
    _foreach_copy_ _foreach_zero_
    """.split()
)
#: Kernels of which the first argument gives shape and kind alone.
_SHAPED = frozenset(
    """
    empty_like full_like new_empty new_empty_strided new_full new_ones new_zeros ones_like rand_like randint_like
    randn_like zeros_like
    """.split()
)
#: Kernels that write running statistics, and do not say so: their positions, and that of the flag.
_STATISTICS = {
    "native_batch_norm": ((3, 4), 5),
    "cudnn_batch_norm": ((3, 4), 5),
    "miopen_batch_norm": ((3, 4), 5),
}
#: Kernels that only change how a tensor looks at its memory.
_TURNING = frozenset(
    """
    as_strided_ detach_ squeeze_ swapaxes_ swapdims_ t_ transpose_ unsqueeze_
    """.split()
)
#: Kernels after which a storage is not what it was.
_MOVING = frozenset({"resize_", "resize_as_", "set_"})


class _Facts:
    """What is known of one kernel."""

    __slots__ = ("is_moving", "is_writing", "name", "skipped", "statistics", "written")

    def __init__(self, kernel: Any) -> None:
        name = str(kernel).partition(".")[2].partition(".")[0] if "." in str(kernel) else str(kernel)
        schemas = internals.schemas(kernel) if isinstance(kernel, internals.OpOverload) else []
        arguments = schemas[0].arguments if schemas else []
        written = [(n, a) for n, a in enumerate(arguments) if internals.is_written_tensor(a)]
        if name in _TURNING:
            written = []
        self.name = name
        self.statistics = _STATISTICS.get(name)
        self.is_moving = name in _MOVING
        #: Arguments that are written, by position and name.
        self.written: frozenset[int | str] = frozenset(key for n, a in written for key in (n, a.name))
        self.is_writing = bool(written) or self.statistics is not None
        unread = [(n, a) for n, a in written if a.is_out or (name in _FILLING and n == 0)]
        #: Arguments that are not read.
        self.skipped: frozenset[int | str] = frozenset(key for n, a in unread for key in (n, a.name))
        if name in _SHAPED:
            self.skipped |= {0, "self"}


class KernelCall:
    """A call of a torch function, as its kernels tell of it."""

    __slots__ = (
        "count",
        "extents",
        "function",
        "is_copy_of_others",
        "is_followed",
        "is_view",
        "kernels",
        "module",
        "node",
        "number",
        "reads",
        "stack",
        "unsure",
        "written",
    )

    def __init__(self, number: int, module: int) -> None:
        self.number = number
        #: The kernels by name, in order, each once, and how many there were.
        self.kernels: dict[str, None] = {}
        self.count = 0
        #: The recorder's node for it; None if it made none.
        self.node: Any = None
        #: The module call it ran in, as `hooks.Hooks` numbers them.
        self.module = module
        self.reads: set[Read] = set()
        #: Storages that it made or wrote.
        self.written: set[int] = set()
        #: How many elements it wrote in each storage that was there before.
        self.extents: dict[int, int] = {}
        #: Reads that no kernel shows: arguments that none of them was given.
        self.unsure: set[Read] = set()
        self.is_view = True
        #: Whether all that it read and wrote could be followed.
        self.is_followed = True
        #: Whether it only copies memory that torch has not allocated, as `torch.Tensor(array)` does past the recorder.
        self.is_copy_of_others = False
        #: If there is no node: the stack that it ran in, and the function, unless it ran past the recorder.
        self.stack: list[tuple[CodeType, int]] | None = None
        self.function: Any = None


class Kernels(internals.DispatchMode):
    """The kernels of one pass, in the calls that they belong to."""

    def __init__(
        self, module: Callable[[], int], runners: Mapping[CodeType, bool], own: Iterable[CodeType]
    ) -> None:
        """``module`` tells the module call that runs now.

        ``runners`` is the code that runs calls for the recorder, each with whether their inside is opaque;
        what the code in ``own`` runs is for the recorder's own sake.
        """
        super().__init__()
        self.calls: list[KernelCall] = []
        #: What each tensor of the result shows; None where nobody can tell.
        self.results: list[set[Read] | None] = []
        #: Kernels that the recorder itself ran, to spare what it has saved.
        self.own = 0
        self._module = module
        self._runners = {id(code) for code in runners}
        self._opaque = {id(code) for code, is_opaque in runners.items() if is_opaque}
        self._own = {id(code) for code in own}
        self._shadows: dict[int, Shadow] = {}
        self._facts: dict[Any, _Facts] = {}
        self._depth = internals.function_mode_depth()
        #: The call whose kernels are coming, and the frame that runs it; the views it has made.
        self._call: KernelCall | None = None
        self._frame: FrameType | None = None
        self._shown: dict[int, Tensor] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        frame, named = sys._getframe(1), kwargs or {}
        if not internals.is_function_mode_on():
            return self._run(func, args, named, frame)
        # a kernel that no call announces: neither it nor our looks at its tensors are to become calls
        with internals.WithoutTorchFunction():
            return self._run(func, args, named, frame)

    def _run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], frame: FrameType) -> Any:
        result = func(*args, **kwargs)
        if frame is self._frame and self._call is not None:  # one more of the same call, as most are
            call = self._call
        else:
            runner = self._runner(frame)
            if runner is not None and id(runner.f_code) in self._own:
                self.own += 1
                return result
            call = self._call_of(frame, runner)
        facts = self._facts.get(func)
        if facts is None:
            facts = self._facts[func] = _Facts(func)
        call.count += 1
        call.kernels[facts.name] = None
        if call.stack is not None and facts.name == "_to_copy":
            call.is_copy_of_others = internals.is_memory_of_others(args[0])
            if call.is_copy_of_others:
                self._shadow(args[0])  # an address that nothing else is to be met at
        try:
            self._note(call, facts, args, kwargs, result)
        except (RuntimeError, NotImplementedError, ValueError):  # layouts without strides, symbolic sizes
            call.is_followed = call.is_view = False
        return result

    # -- which call --------------------------------------------------------------------------------

    def _call_of(self, frame: FrameType, runner: FrameType | None) -> KernelCall:
        if self._call is not None and runner is self._frame and runner is not None:
            return self._call
        self._close()
        call = self._new_call()
        if runner is None:
            call.stack = stack_of(frame)
        elif id(runner.f_code) in self._opaque:
            call.node = runner.f_locals["node"]
            call.is_followed = False
        self._call, self._frame = call, runner
        return call

    def _close(self) -> None:
        """The call before is over; what it was, if the recorder has made nothing of it."""
        if self._call is not None and self._call.node is None and self._frame is not None:
            names = self._frame.f_locals
            self._call.function = names.get("func", names.get("name"))
            self._call.stack = stack_of(self._frame)
        self._call = self._frame = None

    def _runner(self, frame: FrameType | None) -> FrameType | None:
        """The frame of the recorder that runs the call, or that of its own work; None for what runs past it.

        While the recorder handles a call, its mode is off the stack of modes. On it, a kernel may still come from
        calls that are handed over otherwise, if no code of the user's stands between.
        """
        is_handled = internals.function_mode_depth() <= self._depth
        ends, own = self._runners, self._own
        while frame is not None and (code := id(frame.f_code)) not in ends and code not in own:
            if not is_handled and not frame.f_globals.get("__name__", "").startswith(
                ("torch", "torchlens_core")
            ):
                return None
            frame = frame.f_back
        return frame

    def _new_call(self) -> KernelCall:
        call = KernelCall(len(self.calls), self._module())
        self.calls.append(call)
        self._shown = {}
        return call

    def on_node(self, node: Any, arguments: Callable[[], list[Tensor]], frame: FrameType) -> None:
        """The recorder has made ``node`` of the call that ``frame`` runs in."""
        call = self._call
        runner: FrameType | None = frame
        while runner is not None and id(runner.f_code) not in self._runners:
            runner = runner.f_back
        if call is None or runner is not self._frame or call.node is not None or node.is_open_ended:
            self._close()
            call = self._new_call()  # without kernels
        call.node = node
        try:
            self._note_arguments(call, arguments())
        except (RuntimeError, NotImplementedError, ValueError):
            call.is_followed = False
        self._call = self._frame = None
        self._shown = {}

    def _note_arguments(self, call: KernelCall, arguments: list[Tensor]) -> None:
        """What a view shows; and arguments that no kernel was given: nobody can tell whether C++ has read them."""
        shown = set()
        if call.is_view:
            for tensor in self._shown.values():
                call.reads |= self._read(tensor, call)
                shown.add(internals.storage_key(tensor))
        for tensor in arguments:
            if internals.storage_key(tensor) not in shown:
                call.unsure |= self._read(tensor, call)

    # -- what it read and wrote --------------------------------------------------------------------

    def _note(
        self, call: KernelCall, facts: _Facts, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        """Written for speed: a recurrent cell runs a dozen kernels, each of a few microseconds."""
        key_of = internals.storage_key
        given: list[tuple[Any, Tensor, int]] = []
        for place, arg in enumerate(args):
            if isinstance(arg, Tensor):
                given.append((place, arg, key_of(arg)))
            elif type(arg) is list or type(arg) is tuple:
                given += [(place, item, key_of(item)) for item in arg if isinstance(item, Tensor)]
        for name, arg in kwargs.items():
            given += [(name, item, key_of(item)) for item in structure.tensors(arg)]
        held = [key for _, _, key in given]
        is_writing = facts.is_writing
        if is_writing and args and result is args[0]:
            made = []
        elif isinstance(result, Tensor):
            made = [(result, key_of(result))]
        else:
            made = [(tensor, key_of(tensor)) for tensor in structure.tensors(result)]
        if not is_writing and made and all(key and key in held for _, key in made):
            if call.is_view:
                for _, tensor, _ in given:  # a step on the way
                    self._shown.pop(id(tensor), None)
                self._shown |= {id(tensor): tensor for tensor, _ in made}
            return
        if is_writing or made:
            call.is_view = False
        skipped, shadows, number = facts.skipped, self._shadows, call.number
        for place, tensor, key in given:
            if place in skipped:
                continue
            shadow = shadows.get(key)
            if shadow is None or shadow.cells is not None or shadow.is_lost:
                call.reads |= self._read(tensor, call)
            elif shadow.whole != number and tensor.numel():
                call.reads.add((shadow.whole, key))
        if is_writing:
            self._note_written(call, facts, args, given)
        for tensor, key in made:
            if not key:
                call.is_followed = False
            elif key not in held:
                if key not in shadows:
                    internals.hold_address(tensor.untyped_storage())
                shadows[key] = Shadow(number)
                call.written.add(key)

    def _note_written(
        self,
        call: KernelCall,
        facts: _Facts,
        args: tuple[Any, ...],
        given: list[tuple[Any, Tensor, int]],
    ) -> None:
        written = [tensor for place, tensor, _ in given if place in facts.written]
        if facts.statistics is not None:
            positions, flag = facts.statistics
            written += [args[n] for n in positions if args[flag] and args[n] is not None]
        if facts.is_moving:
            call.is_followed = False
            self._lose(written)
            return
        for tensor in written:
            self._write(tensor, call)

    def _read(self, tensor: Tensor, call: KernelCall) -> set[Read]:
        key = internals.storage_key(tensor)
        if not key:
            call.is_followed = False
            return set()
        shadow = self._shadows.get(key)
        if shadow is None:
            return {(NOBODY, key)} if tensor.numel() else set()
        if shadow.is_lost:
            call.is_followed = False
            return set()
        mine = call.number
        return {(writer, key) for writer in shadow.read(tensor) if writer != mine}

    def _write(self, tensor: Tensor, call: KernelCall) -> None:
        key = internals.storage_key(tensor)
        if not key:
            call.is_followed = False
            return
        self._shadow(tensor).write(tensor, call.number)
        call.written.add(key)
        call.extents[key] = call.extents.get(key, 0) + tensor.numel()

    def _lose(self, tensors: list[Tensor]) -> None:
        for tensor in tensors:
            if internals.storage_key(tensor):
                self._shadow(tensor).lose()

    def _shadow(self, tensor: Tensor) -> Shadow:
        """The shadow of its memory, which was there before the pass if there is none yet."""
        key = internals.storage_key(tensor)
        if key not in self._shadows:
            internals.hold_address(tensor.untyped_storage())
            self._shadows[key] = Shadow(NOBODY)
        return self._shadows[key]

    # -- the end -----------------------------------------------------------------------------------

    def finish(self, result: Any) -> None:
        """The pass is over and has returned ``result``: note what it shows."""
        self._close()
        for _, tensor in structure.leaves(result):
            shown = KernelCall(-2, -1)
            try:
                reads = self._read(tensor, shown)
            except (RuntimeError, NotImplementedError, ValueError):
                shown.is_followed = False
            self.results.append(reads if shown.is_followed else None)

    def release(self) -> None:
        """Let addresses be used again."""
        self._close()
        self._shown = {}
        internals.release_addresses(self._shadows)
        self._shadows = {}

    @property
    def count(self) -> int:
        """Kernels of the model's pass."""
        return sum(call.count for call in self.calls)
