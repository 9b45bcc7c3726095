"""The look of `papertown-ink`: the same world as an ink drawing with a thin colour wash, on paper."""

from __future__ import annotations

import torch
import torch.nn.functional as nnf
from torch import Tensor

PAPER = (244, 236, 216)
INK = (38, 34, 48)
WASH = 0.4  # the share of the flat colour in the wash; the rest is paper
FAINT, FULL = (
    14.0,
    60.0,
)  # contrast, 0 to 255: below the first no line is drawn, from the second on a full line


def as_ink(pictures: Tensor) -> Tensor:
    """Redraw flat pictures (n, 3, h, w), uint8, in ink; the result has the same shape and dtype.

    Edges become lines. The colours stay recognizable as a wash, so that the same tags hold.
    """
    flat = pictures.float()
    paper, ink = (torch.tensor(c, device=flat.device).view(1, 3, 1, 1).float() for c in (PAPER, INK))
    lightest, darkest = nnf.max_pool2d(flat, 3, 1, 1), -nnf.max_pool2d(-flat, 3, 1, 1)
    contrast = (lightest - darkest).amax(dim=1, keepdim=True)
    lines = ((contrast - FAINT) / (FULL - FAINT)).clamp(0, 1)
    # Thin the lines: pixels in the middle of an edge stay, their neighbours fade.
    lines = lines * (contrast / nnf.max_pool2d(contrast, 3, 1, 1).clamp(min=1)).pow(3)
    washed = paper * (1 - WASH) + flat * WASH
    return (washed + (ink - washed) * lines).round().to(torch.uint8)
