"""The look of `papertown-ink`: the same world as an ink drawing, washed with a little colour, on paper."""

from __future__ import annotations

import torch
import torch.nn.functional as nnf
from torch import Tensor

PAPER = (244, 236, 216)
INK = (38, 34, 48)
WASH = 0.4  # how much of the flat colour is left
FAINT, FULL = 14.0, 60.0  # contrast, of 255, at which an edge begins to be drawn, and is drawn in full


def as_ink(pictures: Tensor) -> Tensor:
    """Flat pictures (n, 3, h, w), uint8, redrawn in ink: the same shape and type.

    Edges become lines; the colours stay readable as a wash, so that the same tags are true.
    """
    flat = pictures.float()
    paper, ink = (torch.tensor(c, device=flat.device).view(1, 3, 1, 1).float() for c in (PAPER, INK))
    lightest, darkest = nnf.max_pool2d(flat, 3, 1, 1), -nnf.max_pool2d(-flat, 3, 1, 1)
    contrast = (lightest - darkest).amax(dim=1, keepdim=True)
    lines = ((contrast - FAINT) / (FULL - FAINT)).clamp(0, 1)
    # Thin the lines: a pixel in the middle of an edge stays, one beside it fades.
    lines = lines * (contrast / nnf.max_pool2d(contrast, 3, 1, 1).clamp(min=1)).pow(3)
    washed = paper * (1 - WASH) + flat * WASH
    return (washed + (ink - washed) * lines).round().to(torch.uint8)
