"""One model drawn by one tool, in a process of its own: what benchmarks/pictures.py starts.

    python benchmarks/drawing_tools.py ours default alexnet out/pictures 3

Each picture gives a line of JSON on standard output as soon as it is made, so that whoever stops this process has
those that were made before. The SVG of the last one is left in the folder.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from drawn_models import drawn, logged_diff

#: By tool, the views and what is asked for.
OURS: dict[str, dict[str, Any]] = {
    "default": {},
    "whole": {"depth": 99, "fold": False},
    "unrolled": {"depth": 99, "rolled": False},
}
TORCHLENS: dict[str, dict[str, Any]] = {
    "default": {"collapse": "auto"},
    "whole": {},
    "rolled": {"vis_mode": "rolled"},
}
TORCHVIEW: dict[str, dict[str, Any]] = {
    "default": {"expand_nested": True},
    "whole": {"expand_nested": True, "depth": float("inf")},
    "rolled": {"expand_nested": True, "roll": True},
}
#: Pictures of a model that took longer than this are made once.
ONCE = 15.0


def say(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    done = work()
    return time.perf_counter() - start, done


# -- ours ------------------------------------------------------------------------------------------


def ours(view: str, model: str, folder: Path, rounds: int) -> None:
    """Histories and snapshots are there already; counted are the graph, its layout and the SVG."""
    import torchlens_core as tl
    from torchlens_core import draw
    from torchlens_core.diff import draw_diff

    if view == "diff":
        make = partial(draw_diff, *logged_diff(tl))
        seconds = 0.0
    else:
        net, args = drawn(model)
        with torch.no_grad():
            seconds, history = timed(lambda: tl.log_forward_pass(net, list(args), layers_to_save="none"))
        make = partial(draw.picture, history, **OURS[view])
    say(trace=seconds)
    for _ in range(rounds):  # before this process has a worker, and anything cached
        if (first := _in_a_fork(make)) > ONCE:
            break
    for _ in range(rounds):
        seconds, (picture, text) = timed(lambda: _with_svg(make))
        say(
            seconds=seconds,
            bytes=len(text.encode()),
            boxes=len(picture.sheet.boxes),
            engine=picture.layout.engine,
            notes=picture.notes,
        )
        if first > ONCE:
            break
    (folder / f"{model}.ours.{view}.svg").write_text(text, encoding="utf-8")
    if len(picture.sheet.boxes) < 1_000:
        for form in ("png", "pdf"):
            seconds, content = timed(partial(picture.as_bytes, form))
            say(form=form, seconds=seconds, bytes=len(content))
            (folder / f"{model}.ours.{view}.{form}").write_bytes(content)


def _with_svg(make: Callable[[], Any]) -> tuple[Any, str]:
    picture = make()
    return picture, picture.svg()


def _in_a_fork(make: Callable[[], Any]) -> float:
    """Seconds of the first picture of a process, its worker's start included."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=lambda: sender.send(timed(lambda: _with_svg(make))[0]))
    child.start()
    seconds = receiver.recv()
    child.join()
    say(cold=seconds)
    return seconds


# -- others ----------------------------------------------------------------------------------------


def torchlens(view: str, model: str, folder: Path, rounds: int) -> None:
    """Its README's calls: `trace`, then `draw`, which writes the file."""
    import torchlens as tl

    net, args = drawn(model)
    start = time.perf_counter()
    log = tl.trace(net, args[0] if len(args) == 1 else list(args))
    say(trace=time.perf_counter() - start)
    path = folder / f"{model}.torchlens.{view}"
    for _ in range(rounds):
        with _silent():
            seconds, _ = timed(
                lambda: log.draw(
                    vis_outpath=str(path), vis_fileformat="svg", vis_save_only=True, **TORCHLENS[view]
                )
            )
        say(seconds=seconds, bytes=Path(f"{path}.svg").stat().st_size)
        if seconds > ONCE:
            break


def torchview(view: str, model: str, folder: Path, rounds: int) -> None:
    """Its README's call. `draw_graph` runs the model and builds the graph, which cannot be timed apart."""
    from torchview import draw_graph

    net, args = drawn(model)
    path = folder / f"{model}.torchview.{view}.svg"
    for _ in range(rounds):
        trace, graph = timed(lambda: draw_graph(net, input_data=args, **TORCHVIEW[view]))
        say(trace=trace)
        seconds, content = timed(lambda graph=graph: graph.visual_graph.pipe(format="svg"))
        path.write_bytes(content)
        say(seconds=seconds, bytes=len(content))
        if trace + seconds > ONCE:
            break


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    with contextlib.redirect_stdout(sys.stderr):
        yield


TOOLS = {"ours": ours, "torchlens": torchlens, "torchview": torchview}


def main() -> None:
    tool, view, model, folder, rounds = sys.argv[1:]
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)  # a process with threads must not fork
    torch.zeros(1) + 1
    say(ready=True)
    try:
        TOOLS[tool](view, model, Path(folder), int(rounds))
    except Exception as error:
        say(failed=f"{type(error).__name__}: {error}".partition("\n")[0][:160])


if __name__ == "__main__":
    main()
