"""Pictures of histories, snapshots and diffs.

`picture` makes one: ``picture(history, depth=2).save("model.svg")``. A `Picture` has every form: SVG, PNG, PDF,
DOT, a silhouette, JSON for Model Explorer. Boxes and edges are a `Sheet`, where they stand a `Layout`.
"""

from torchlens_core.draw.display import Drawing
from torchlens_core.draw.overrides import Overrides
from torchlens_core.draw.pictures import Options, Picture, picture
from torchlens_core.draw.placing.engines import engines_found
from torchlens_core.draw.placing.layout import Layout
from torchlens_core.draw.sheet import DIRECTIONS, Sheet

__all__ = [
    "DIRECTIONS",
    "Drawing",
    "Layout",
    "Options",
    "Overrides",
    "Picture",
    "Sheet",
    "engines_found",
    "picture",
]
