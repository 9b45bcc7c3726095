"""`sid redraw` draws what another tool's picture says, as it draws the same settings from infotext."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from bootstrap.lora import kohya
from bootstrap.models.family import BaseModel
from tests.drawing.metadata.pictures import png
from tests.drawing.metadata.test_comfyui import graph, node, sampling
from tests.lora.test_merge import random_lora
from tests.sid_command import in_this_process


@pytest.fixture
def redrawn(
    papertown: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[Path], tuple[bytes, str]]:
    """Redraw a picture, and return the pixels and what was said."""
    monkeypatch.setenv("SID_WORKSPACE", str(tmp_path / "workspace"))
    lora = random_lora(papertown, 3)
    kohya.write(tmp_path / "workspace" / "loras" / "ink.safetensors", lora.modules, lora.metadata)
    sid = in_this_process(monkeypatch, capsys)

    def run(path: Path) -> tuple[bytes, str]:
        output = path.with_name(f"redrawn-{path.name}")
        code, out, err = sid("redraw", str(path), "--output", str(output))
        assert (code, err) == (0, ""), err
        with Image.open(output) as picture:
            return picture.convert("RGB").tobytes(), out

    return run


def test_a_comfyui_picture_is_drawn_as_infotext_of_the_same_settings(
    tmp_path: Path, redrawn: Callable[[Path], tuple[bytes, str]]
) -> None:
    nodes = graph(
        sampling=sampling(seed=5, steps=2, cfg=3.5, sampler_name="dpmpp_2m", model=["lora", 0]),
        base=node("CheckpointLoaderSimple", ckpt_name="papertown"),
        latent=node("EmptyLatentImage", width=64, height=96, batch_size=1),
        lora=node("LoraLoader", lora_name="ink.safetensors", strength_model=0.5, strength_clip=0.25,
                  model=["base", 0], clip=["base", 1]),
        positive=node("CLIPTextEncode", text="woman, red apple", clip=["lora", 1]),
        negative=node("CLIPTextEncode", text="window", clip=["lora", 1]),
    )  # fmt: skip
    infotext = (
        "woman, red apple <lora:ink:0.25:0.5>\nNegative prompt: window\nSteps: 2, Sampler: DPM++ 2M, "
        "Schedule type: Karras, CFG scale: 3.5, Seed: 5, Size: 64x96, Model: papertown, RNG: CPU, Version: ComfyUI"
    )
    pixels, said = redrawn(png(tmp_path / "a.png", prompt=nodes))
    expected, said_of_infotext = redrawn(png(tmp_path / "b.png", parameters=infotext))
    assert pixels == expected
    assert "a.png is ComfyUI's: its prompt was read and its noise drawn as AUTOMATIC1111 does" in said
    assert "AUTOMATIC1111 does" not in said_of_infotext
