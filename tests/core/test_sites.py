"""Where calls stand: chains, stacks, frames, and recursion folded."""

import sys
from types import CodeType

import pytest
import torch
from torch import nn

import torchlens_core as tl
from torchlens_core.sites import (
    CONTEXT_LINES,
    Frame,
    chain_of,
    fold,
    frame_at,
    frames_of,
    stack_of,
    user_frame,
)


def here():
    """The frame of the caller."""
    return sys._getframe(1)


def _outer(inner):
    return inner()


#: Code that no frame runs.
NOWHERE: CodeType = (lambda: None).__code__


def _chain():
    return chain_of(here(), (_outer.__code__, NOWHERE, NOWHERE))


def test_a_chain_ends_before_its_end():
    chain = _outer(_chain)
    assert len(chain) == 2
    assert chain[0] == id(_chain.__code__)


def test_a_chain_without_end_goes_out_to_the_first_frame():
    chain, depth, frame = chain_of(here(), (NOWHERE,) * 3), 0, here()
    while frame is not None:
        depth, frame = depth + 1, frame.f_back
    assert len(chain) == 2 * depth > 4


def test_the_same_call_has_the_same_chain_and_another_call_another():
    chains = [_chain() for _ in range(3)]
    assert len(set(chains)) == 1
    first, second = _chain(), _chain()
    assert len({first, second, chains[0]}) == 3


def test_a_stack_keeps_the_code_of_its_chain():
    def inner():
        return stack_of(here()), chain_of(here(), (NOWHERE,) * 3)

    stack, chain = inner()
    assert [part for code, offset in stack for part in (id(code), offset)][:1] == [chain[0]]
    assert stack[0][0] is inner.__code__
    assert stack_of(None) == []


def test_frames_name_file_line_and_function():
    found = frames_of(stack_of(here()))  # this line
    assert found[-1].filename == __file__
    assert found[-1].function == "test_frames_name_file_line_and_function"
    assert found[-1].source.endswith("# this line")


def test_frames_come_outermost_first_and_without_the_package():
    history = tl.log_forward_pass(nn.Sequential(nn.ReLU()), torch.rand(2))
    functions = [frame.function for frame in history["relu"].frames]
    assert functions.index("test_frames_come_outermost_first_and_without_the_package") < functions.index(
        "forward"
    )
    assert not any(f.filename.startswith(tl.__path__[0]) for f in history["relu"].frames)


def test_a_line_is_found_by_its_instruction():
    def three_lines():
        first = 1
        second = 2
        return first + second

    code = three_lines.__code__
    lines = {
        frame_at(code, start).line - code.co_firstlineno for start, _, number in code.co_lines() if number
    }
    assert lines == {0, 1, 2, 3}
    assert frame_at(code, 10**6).line == code.co_firstlineno


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["user.py", f"{torch.__path__[0]}/nn/functional.py"], "user.py"),
        (["user.py", "<string>"], "user.py"),
        (["user.py", "lib.py"], "lib.py"),
        ([f"{torch.__path__[0]}/a.py"], f"{torch.__path__[0]}/a.py"),
    ],
)
def test_the_line_a_person_would_point_at(names, expected):
    found = user_frame([Frame(name, 1, "f") for name in names])
    assert found.filename == expected


def test_nowhere_has_no_line():
    assert user_frame([]) is None


def test_a_frame_shows_the_lines_around(tmp_path):
    path = tmp_path / "model.py"
    path.write_text("\n".join(f"line {n}" for n in range(1, 41)), encoding="utf-8")
    frame = Frame(str(path), 20, "forward")
    shown = frame.as_dict()
    assert frame.source == "line 20"
    assert (shown["call_linenum"], shown["function"]) == (20, "forward")
    assert len(shown["code_context"]) == 2 * CONTEXT_LINES + 1
    assert shown["code_context"][CONTEXT_LINES] == "line 20\n"
    assert str(frame) == f"{path}:20 in forward"


def test_a_frame_of_a_file_that_is_gone_has_no_source(tmp_path):
    assert Frame(str(tmp_path / "gone.py"), 3, "f").source == ""
    assert Frame(str(tmp_path / "gone.py"), 3, "f").as_dict()["code_context"] == []


def test_source_is_the_line_of_the_user():
    class Model(nn.Module):
        def forward(self, x):
            return nn.functional.normalize(x * 2)

    history = tl.log_forward_pass(Model(), torch.rand(2, 3))
    for op in history.ops:
        assert op.source.source == "return nn.functional.normalize(x * 2)"


# -- folding -----------------------------------------------------------------------------------------


def _stacks_of(function, *args):
    """The folded stacks of each call that ``function`` makes of what it is given."""
    stacks = []
    function(lambda: stacks.append(stack_of(here(), (_stacks_of.__code__, None))), *args)
    return [fold(stack) for stack in stacks]


def _recursive(note, depth):
    note()
    if depth:
        _recursive(note, depth - 1)


def _two_lines(note):
    note()
    note()


def _while_condition(note):
    left = 3
    while note() or left:  # compiled twice: before the loop, and at its end
        left -= 1


def _finally(note):
    for fails in (False, True):
        try:
            try:
                assert not fails
            finally:
                note()  # compiled twice
        except AssertionError:
            pass


@pytest.mark.parametrize(
    ("function", "args", "calls", "places"),
    [
        (_recursive, (4,), 5, 2),  # the first call does not come from within the recursion
        (_two_lines, (), 2, 2),
        (_while_condition, (), 4, 1),
        (_finally, (), 2, 1),
    ],
)
def test_places_in_the_source(function, args, calls, places):
    folded = _stacks_of(function, *args)
    assert len(folded) == calls
    assert len(set(folded)) <= places
    assert (len(set(folded)) > 1) == (function is _two_lines)
