"""Models of transformers that follow objects through a video, with the session that each of them needs.

``forward`` of such a model takes one frame and a session, which it changes: a second pass is another one. Here a pass
is a session from its first frame to its last, as a user leads it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


class _Session(nn.Module):
    """A video model with a session of its own in each pass."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        name = type(model).__name__.removesuffix("Model")
        self._opened = getattr(sys.modules[type(model).__module__], f"{name}InferenceSession")

    def _open(self, video: Tensor) -> Any:
        height, width = video.shape[-2:]
        places = dict.fromkeys(
            ("inference_device", "inference_state_device", "video_storage_device"), video.device
        )
        return self._opened(
            video=video, video_height=height, video_width=width, dtype=video.dtype, **places
        )


class _Pointed(_Session):
    """Follows one object, which is pointed at in the first frame."""

    def forward(self, video: Tensor, points: Tensor, labels: Tensor) -> list[Any]:
        """``video`` is f32[frames, 3, height, width], ``points`` f32[1, 1, n, 2], ``labels`` i32[1, 1, n]."""
        session = self._open(video)
        session.add_point_inputs(
            session.obj_id_to_idx(1), 0, {"point_coords": points, "point_labels": labels}
        )
        session.obj_with_new_inputs = [1]
        return [self.model(session, frame_idx=frame) for frame in range(len(video))]


class _Named(_Session):
    """Finds what a text names, in each frame, and follows it."""

    def forward(self, video: Tensor, input_ids: Tensor, attention_mask: Tensor) -> list[Any]:
        """``video`` is f32[frames, 3, height, width], ``input_ids`` and ``attention_mask`` i64[1, tokens]."""
        session = self._open(video)
        prompt = session.add_prompt("a cat")
        session.prompt_input_ids[prompt] = input_ids
        session.prompt_attention_masks[prompt] = attention_mask
        return [self.model(session, frame_idx=frame) for frame in range(len(video))]


def _pointed_inputs(config: Any, frames: int = 3) -> dict[str, Tensor]:
    """By the third frame there is a memory of one that was pointed at, and of one that was followed."""
    return {
        "video": torch.rand(frames, 3, config.image_size, config.image_size),
        "points": torch.tensor([[[[40.0, 60.0], [80.0, 90.0]]]]),
        "labels": torch.ones(1, 1, 2, dtype=torch.int32),
    }


def _named_inputs(config: Any) -> dict[str, Tensor]:
    """What is found in the first frame is followed in the second."""
    return {
        "video": torch.rand(2, 3, config.image_size, config.image_size),
        "input_ids": torch.randint(10, 100, (1, 32)),
        "attention_mask": torch.ones(1, 32, dtype=torch.long),
    }


#: By model type: what leads a model through a video, and what it is given.
SESSIONS: dict[str, tuple[type[_Session], Callable[[Any], dict[str, Tensor]]]] = {
    "edgetam_video": (_Pointed, partial(_pointed_inputs, frames=2)),
    "sam2_video": (_Pointed, _pointed_inputs),
    "sam3_tracker_video": (_Pointed, _pointed_inputs),
    "sam3_video": (_Named, _named_inputs),
}
