"""Prompts that measure flexibility: unrelated to the caption, and the base model can draw them."""

import re

import pytest

from bootstrap.adviser import prompts
from bootstrap.models import specs
from bootstrap.models.family import BaseModelSpec
from bootstrap.papertown.palette import COLORS
from bootstrap.papertown.scenery import OUTDOORS
from bootstrap.papertown.things import DESK_ITEMS, PROPS, WALL_ITEMS

PAPERTOWN = specs.find("papertown")
SD15 = BaseModelSpec("runwayml/stable-diffusion-v1-5", "hub", "runwayml/stable-diffusion-v1-5")


@pytest.mark.parametrize("base", [PAPERTOWN, SD15])
def test_what_is_in_the_caption_is_avoided(base: BaseModelSpec) -> None:
    first = prompts.unrelated(base, "", 1)[0]
    chosen = prompts.unrelated(base, first, 4)
    assert len(set(chosen)) == 4
    assert first not in chosen
    assert chosen == prompts.unrelated(base, first.upper(), 4)


def test_paper_towns_prompts_name_what_there_is_in_paper_town() -> None:
    for tag in (tag.strip() for prompt in prompts.unrelated(PAPERTOWN, "", 8) for tag in prompt.split(",")):
        if held := re.fullmatch(r"(?:holding )?(\w+) (apple|ball|cup|book|flower|balloon|star|fish)", tag):
            assert held[1] in COLORS and held[2] in PROPS
        elif wall := re.fullmatch(r"(\w+) wall", tag):
            assert wall[1] in COLORS
        elif desk := re.fullmatch(r"(\w+) on desk", tag):
            assert desk[1] in DESK_ITEMS
    everything = {tag.strip() for prompt in prompts.unrelated(PAPERTOWN, "", 8) for tag in prompt.split(",")}
    assert len(everything & set(OUTDOORS)) >= 3
    assert len(everything & set(WALL_ITEMS)) >= 2
