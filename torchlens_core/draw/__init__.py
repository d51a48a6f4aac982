"""Pictures of histories: a graph in DOT, laid out by Graphviz.

The only place that knows graphviz. `render` makes a picture, `Drawing` is what the ``vis_…`` arguments of
`log_forward_pass` do.
"""

from torchlens_core.draw.display import DIRECTIONS, Drawing
from torchlens_core.draw.dot import Picture, depth_for, dot_source
from torchlens_core.draw.engines import engines_found, render

__all__ = [
    "DIRECTIONS",
    "Drawing",
    "Picture",
    "depth_for",
    "dot_source",
    "engines_found",
    "render",
]
