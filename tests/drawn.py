"""What stands on a sheet, as text that tests can compare."""

from torchlens_core.draw.sheet import Box, Frame, Sheet


def lines(sheet: Sheet) -> list[str]:
    """Boxes and headings of frames, indented by frame: ``linear(4→3) 15 | 2×3 fc``."""
    return list(_lines(sheet, sheet.root, ""))


def _lines(sheet: Sheet, frame: Frame, indent: str):
    for one in frame.inside:
        if isinstance(one, Frame):
            words = (one.title, one.class_name, one.badge, one.mark, _change(one))
            yield f"{indent}[{' '.join(filter(None, words))}]"
            yield from _lines(sheet, one, f"{indent}  ")
        else:
            yield indent + box(sheet.boxes[one])


def box(one: Box) -> str:
    details = f"({one.details})" if one.details else ""
    first = " ".join(filter(None, (f"{one.title}{details}", one.badge, one.mark, _change(one))))
    second = " ".join(filter(None, (one.shape, one.name)))
    return f"{first} | {second}" if second else first


def _change(one: Box | Frame) -> str:
    return f"!{one.change}" if one.change else ""


def edges(sheet: Sheet) -> list[str]:
    """``relu -> linear``, boxes by their titles; what is special of an edge behind it."""
    found = []
    for edge in sheet.edges:
        ends = f"{sheet.boxes[edge.tail].title} -> {sheet.boxes[edge.head].title}"
        kind = edge.kind if edge.kind != "data" else ""
        label = f"[{edge.label}]" if edge.label else ""
        found.append(" ".join(filter(None, (ends, label, kind, f"!{edge.change}" if edge.change else ""))))
    return found
