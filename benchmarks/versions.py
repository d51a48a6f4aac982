"""Whether snapshots are the same text under two releases of torch: recorded by one, compared by the other.

The models are all those of tests/tricky and the catalogue; the latter are built and run on the meta device, so
that 121 of them take a minute and no memory. Those that cannot run there (detection, which reads values) are run
for real if they are small. A torchvision that was built for another torch is imported without its compiled
operators; models that need them are left out and counted.

    python benchmarks/versions.py --write out/versions            # with the one torch
    python benchmarks/versions.py --compare out/versions          # with the other; exit status 1 if any differs
    python benchmarks/versions.py --compare out/versions --torchvision ../venv/lib/python3.11/site-packages
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from tricky import ALL  # noqa: E402

import model_suite  # noqa: E402
import torchlens_core as tl  # noqa: E402
from torchlens_core import structure  # noqa: E402
from torchlens_core.snapshot import take_snapshot  # noqa: E402

#: Operators that torchvision's Python files register kernels for when they are imported.
_OPERATORS = """
    nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor
    qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor
    roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width, int sampling_ratio, bool aligned) -> Tensor
    roi_pool(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width) -> (Tensor, Tensor)
    ps_roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width, int sampling_ratio) -> (Tensor, Tensor)
    ps_roi_pool(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width) -> (Tensor, Tensor)
    deform_conv2d(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, SymInt stride_h, SymInt stride_w, SymInt pad_h, SymInt pad_w, SymInt dilation_h, SymInt dilation_w, SymInt groups, SymInt offset_groups, bool use_mask) -> Tensor
    _roi_align_backward(Tensor grad, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width, SymInt batch_size, SymInt channels, SymInt height, SymInt width, int sampling_ratio, bool aligned) -> Tensor
    _roi_pool_backward(Tensor grad, Tensor rois, Tensor argmax, float spatial_scale, SymInt pooled_height, SymInt pooled_width, SymInt batch_size, SymInt channels, SymInt height, SymInt width) -> Tensor
    _ps_roi_align_backward(Tensor grad, Tensor rois, Tensor channel_mapping, float spatial_scale, SymInt pooled_height, SymInt pooled_width, int sampling_ratio, SymInt batch_size, SymInt channels, SymInt height, SymInt width) -> Tensor
    _ps_roi_pool_backward(Tensor grad, Tensor rois, Tensor channel_mapping, float spatial_scale, SymInt pooled_height, SymInt pooled_width, SymInt batch_size, SymInt channels, SymInt height, SymInt width) -> Tensor
    _deform_conv2d_backward(Tensor grad, Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, SymInt stride_h, SymInt stride_w, SymInt pad_h, SymInt pad_w, SymInt dilation_h, SymInt dilation_w, SymInt groups, SymInt offset_groups, bool use_mask) -> (Tensor, Tensor, Tensor, Tensor, Tensor)
"""  # noqa: E501
_kept: list[torch.library.Library] = []


def import_torchvision(folder: Path | None) -> None:
    """Import torchvision, without its operators if they were built for another torch.

    ``folder`` is the site-packages of an environment to take it and pillow from, and nothing else.
    """
    if folder is not None:
        lent = Path(tempfile.mkdtemp())
        for name in ("torchvision", "PIL", "pillow.libs"):
            (lent / name).symlink_to(folder / name)
        sys.path.append(str(lent))
    try:
        importlib.import_module("torchvision")
    except RuntimeError:  # operator torchvision::nms does not exist
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for schema in _OPERATORS.strip().splitlines():
            library.define(schema.strip())
        _kept.append(library)
        importlib.import_module("torchvision")


def tricky_texts() -> Iterator[tuple[str, str]]:
    """Name and text of each tricky case."""
    for case in ALL:
        model, args, kwargs = case.make()
        with torch.set_grad_enabled(case.grad):
            history = tl.log_forward_pass(model, list(args), kwargs, layers_to_save="none", random_seed=0)
        name = f"{case.name}{'-train' if case.training else ''}{'' if case.grad else '-nograd'}"
        yield f"tricky/{name}", _text(history)


def catalogue_texts() -> Iterator[tuple[str, str | None]]:
    """Name and text of each model of the catalogue; None if it cannot run here."""
    for case in model_suite.cases():
        yield case.name, _on_meta(case) or _for_real(case)


def _on_meta(case: model_suite.ModelCase) -> str | None:
    try:
        args, kwargs = structure.replace(case.inputs(), lambda tensor: tensor.to("meta"))
        with torch.device("meta"):
            return _logged(case.build(), args, kwargs)
    except (RuntimeError, NotImplementedError, tl.TorchLensError):
        return None


def _for_real(case: model_suite.ModelCase) -> str | None:
    if case.size is model_suite.SizeClass.LARGE:
        return None
    try:
        return _logged(case.build(), *case.inputs())
    except (RuntimeError, NotImplementedError):
        return None


def _logged(model: nn.Module, args: tuple[object, ...], kwargs: dict[str, object]) -> str:
    with torch.no_grad():
        return _text(tl.get_model_metadata(model, list(args), kwargs))


def _text(history: tl.ModelHistory) -> str:
    """The text without the notes, which are never compared."""
    lines = str(take_snapshot(history)).splitlines(keepends=True)
    return "".join(line for n, line in enumerate(lines) if not n or not line.startswith("# "))


def write(folder: Path) -> int:
    """Write every text."""
    missing = 0
    for name, text in (*tricky_texts(), *catalogue_texts()):
        path = folder / f"{name}.lens"
        if text is None:
            missing += 1
            print(f"{name}: cannot run here")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    print(f"torch {torch.__version__}: written to {folder}, {missing} cannot run here")
    return 0


def compare(folder: Path) -> int:
    """Compare every text with the one in the folder; print what differs and how many agree."""
    same = {"tricky": 0, "torchvision": 0}
    left_out, differing = [], []
    for name, text in (*tricky_texts(), *catalogue_texts()):
        path = folder / f"{name}.lens"
        if text is None or not path.exists():
            left_out.append(name)
            continue
        before = path.read_text(encoding="utf-8")
        if text == before:
            same[name.partition("/")[0]] += 1
            continue
        differing.append(name)
        lines = difflib.unified_diff(
            before.splitlines(), text.splitlines(), "there", f"torch {torch.__version__}", n=0, lineterm=""
        )
        print(f"{name} differs", *list(lines)[:12], sep="\n    ")
    counts = ", ".join(f"{count} of {group}" for group, count in same.items())
    print(
        f"torch {torch.__version__}: {counts} agree; {len(differing)} differ: {', '.join(differing) or 'none'}"
    )
    print(f"left out, since they cannot run with one of the two: {', '.join(left_out) or 'none'}")
    return bool(differing)


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--write", type=Path, metavar="FOLDER", help="record the texts here")
    choice.add_argument(
        "--compare", type=Path, metavar="FOLDER", help="compare with the texts recorded there"
    )
    parser.add_argument(
        "--torchvision",
        type=Path,
        metavar="FOLDER",
        help="site-packages to lend torchvision from, if there is none",
    )
    options = parser.parse_args()
    import_torchvision(options.torchvision)
    sys.exit(write(options.write) if options.write else compare(options.compare))
