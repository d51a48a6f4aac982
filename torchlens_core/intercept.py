"""How calls reach a recorder: the only file that changes torch's global state.

While an `Interception` is open on a thread,

* a function mode hands every call of an overridable torch function on that thread to its listener;
* ``nn.Module.__call__`` and the ``__call__`` of TorchScript functions, wrapped once for the whole process,
  tell the listeners of the calling thread of each call, and do nothing on threads that have none; so do
  ``autograd.Function.apply`` and the few functions of torch that no mode sees;
* compiled functions run op by op.

All is undone when the last one closes.
"""

from __future__ import annotations

import functools
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import CodeType, FrameType, TracebackType
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from torchlens_core import internals
from torchlens_core.writes import COLLECTIVES


class Listener(TorchFunctionMode, ABC):
    """What an `Interception` tells of a pass.

    A listener is itself the function mode: its ``__torch_function__(func, types, args, kwargs)`` is handed
    every call, with the mode off meanwhile, and returns the result. One call of Python less at each op.
    """

    @abstractmethod
    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """A torch function is called: call it and return its result."""

    @abstractmethod
    def on_script(
        self,
        run: Callable[..., Any],
        called: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        frame: FrameType,
    ) -> Any:
        """TorchScript code is called: call it and return its result."""

    @abstractmethod
    def on_function(
        self, run: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """An `autograd.Function`, or a function that no mode sees, is called: call ``run``, return its result."""

    @abstractmethod
    def on_enter(self, module: nn.Module, args: Any, kwargs: Any, frame: FrameType) -> Any:
        """A module is called; what is returned comes back at `on_exit`."""

    @abstractmethod
    def on_exit(self, call: Any, result: Any) -> None:
        """The call has returned."""

    @abstractmethod
    def on_abandon(self, call: Any) -> None:
        """The call has raised."""


class _Local(threading.local):
    """The listeners of a thread, outermost first."""

    def __init__(self) -> None:
        self.listeners: list[Listener] = []


_local = _Local()


def is_recording() -> bool:
    """Whether somebody listens to this thread."""
    return bool(_local.listeners)


class _Wrappers:
    """The process-wide wrappers, present while at least one interception is open anywhere."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: The thread of each open interception.
        self._users: list[int] = []
        #: Each place, what stood there and what stands there now.
        self._replaced: list[tuple[Any, str, Any, Any]] = []
        self._eager = internals.ForcedEager()

    def add_user(self) -> None:
        with self._lock:
            self._users.append(threading.get_ident())
            if len(self._users) == 1:
                self._install()

    def remove_user(self) -> None:
        with self._lock:
            self._users.remove(threading.get_ident())
            if not self._users:
                self._remove()

    def seen_through(self, owner: type, name: str) -> Any:
        """What stands at a place; what is wrapped there, if only other threads need the wrapper."""
        with self._lock:
            found = vars(owner).get(name, _ABSENT)
            if threading.get_ident() in self._users:
                return found
            return next((original for _, _, original, wrapper in self._replaced if wrapper is found), found)

    def _install(self) -> None:
        self._replace(nn.Module, "__call__", _module_call)
        for kind in internals.script_callables():
            self._replace(kind, "__call__", _script_call)
        self._replace(torch.autograd.Function, "apply", _function_apply)
        for owner, name in internals.UNSEEN_FUNCTIONS:
            self._replace(owner, name, functools.partial(_plain_function, name))
        for name in internals.UNSEEN_SETTERS:
            self._replace(torch.Tensor, name, functools.partial(_heard_property, name))
        for name in internals.UNSEEN_METHODS:
            self._replace(torch.Tensor, name, functools.partial(_heard_method, name))
        for name in COLLECTIVES:
            if hasattr(torch.distributed, name):
                self._replace(torch.distributed, name, _heard_call)
        self._eager.open()

    def _replace(self, owner: Any, name: str, wrap: Callable[[Any], Any]) -> None:
        original = vars(owner).get(name, _ABSENT)
        wrapper = wrap(original)
        self._replaced.append((owner, name, original, wrapper))
        setattr(owner, name, wrapper)

    def _remove(self) -> None:
        self._eager.close()
        while self._replaced:
            owner, name, original, _ = self._replaced.pop()
            if original is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, original)


_ABSENT = object()
_wrappers = _Wrappers()


def standing() -> dict[str, Any]:
    """What stands at two of the places, by their names, as if no other thread had an interception open."""
    return {
        "nn.Module.__call__": _wrappers.seen_through(nn.Module, "__call__"),
        "autograd.Function.apply": _wrappers.seen_through(torch.autograd.Function, "apply"),
    }


def _module_call(original: Callable[..., Any]) -> Callable[..., Any]:
    def __call__(module: nn.Module, *args: Any, **kwargs: Any) -> Any:  # noqa: N807 - what it stands in for
        listeners = _local.listeners
        if not listeners:
            return original(module, *args, **kwargs)
        if len(listeners) > 1:
            return _nested_call(original, listeners, module, args, kwargs)
        listener = listeners[0]
        call = listener.on_enter(module, args, kwargs, sys._getframe(1))
        try:
            result = original(module, *args, **kwargs)
        except BaseException:
            listener.on_abandon(call)
            raise
        listener.on_exit(call, result)
        return result

    return __call__


def _nested_call(
    original: Callable[..., Any],
    listeners: list[Listener],
    module: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """The same for a trace inside a trace."""
    calls = [(one, one.on_enter(module, args, kwargs, sys._getframe(2))) for one in listeners]
    try:
        result = original(module, *args, **kwargs)
    except BaseException:
        for listener, call in calls:
            listener.on_abandon(call)
        raise
    for listener, call in calls:
        listener.on_exit(call, result)
    return result


#: The code of the frames that call a module: chains end there.
MODULE_CALL: CodeType = next(
    const for const in _module_call.__code__.co_consts if isinstance(const, CodeType)
)


def _script_call(original: Callable[..., Any]) -> Callable[..., Any]:
    def __call__(called: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807 - what it stands in for
        frame = sys._getframe(1)
        run = original
        for listener in _local.listeners if _hears() else ():
            run = _heard_script(listener, run, frame)
        return run(called, *args, **kwargs)

    return __call__


def _heard_script(listener: Listener, run: Callable[..., Any], frame: FrameType) -> Callable[..., Any]:
    def script(called: Any, *args: Any, **kwargs: Any) -> Any:
        return listener.on_script(run, called, args, kwargs, frame)

    return script


def _function_apply(original: Any) -> Any:
    def apply(cls: type, *args: Any, **kwargs: Any) -> Any:
        run = original.__get__(None, cls)
        for listener in _local.listeners if _hears() else ():
            run = _heard_function(listener, run, cls.__name__)
        return run(*args, **kwargs)

    return classmethod(apply)


def _plain_function(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        run = original
        for listener in _local.listeners if _hears() else ():
            run = _heard_function(listener, run, name)
        return run(*args, **kwargs)

    return function


def _heard_function(listener: Listener, run: Callable[..., Any], name: str) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        return listener.on_function(run, name, args, kwargs)

    return function


def _hears() -> bool:
    """Whether somebody listens to this thread, and is not just handling a call."""
    return bool(_local.listeners) and internals.is_function_mode_on()


def _heard_property(name: str, _: object) -> property:
    """A property whose setter is handed to the listeners; the one behind it asks no mode."""
    descriptor = internals.attribute_of_tensors(name)

    def get(tensor: torch.Tensor) -> Any:
        return descriptor.__get__(tensor)

    def set_(tensor: torch.Tensor, value: Any) -> None:
        _hand_over(descriptor.__set__, (tensor, value), {})

    return property(get, set_)


def _heard_method(name: str, _: object) -> Callable[..., Any]:
    """A method that tensors inherit, handed to the listeners."""
    return _heard_call(internals.attribute_of_tensors(name))


def _heard_call(original: Callable[..., Any]) -> Callable[..., Any]:
    """A function or method that is handed to the listeners; it asks no mode itself."""

    def function(*args: Any, **kwargs: Any) -> Any:
        return _hand_over(original, args, kwargs)

    return function


def _hand_over(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A call of ``function`` to the innermost listener of this thread, as a function mode would get it."""
    if not _hears():
        return function(*args, **kwargs)
    with internals.WithoutTorchFunction():
        return _local.listeners[-1].__torch_function__(function, (), args, kwargs)


class Interception:
    """Hands everything that happens on this thread to ``listener`` while it is open."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._mode: AbstractContextManager[Any] = listener

    def __enter__(self) -> Interception:
        _wrappers.add_user()
        _local.listeners.append(self._listener)
        self._mode.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._mode.__exit__(kind, error, traceback)
        _local.listeners.remove(self._listener)
        _wrappers.remove_user()
