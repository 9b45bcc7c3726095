"""After drawing, however it ends, all weights are bit for bit as before."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from bootstrap.drawing import engine
from bootstrap.drawing.engine import Drawing
from bootstrap.errors import UserError
from bootstrap.lora.kohya import LoraFile, LoraModule
from bootstrap.models import small_cpu
from bootstrap.models.family import BaseModel
from bootstrap.shots import LoraUse, Shot, Start
from tests.lora.test_merge import random_lora

ONE, OTHER = LoraUse("one", "t", 1, 0.7), LoraUse("other", "u", 1, 1.3)


def mixed_shots(base: BaseModel) -> list[Shot]:
    """One LoRA and two, several strengths, apart for UNet and text encoder, none, and a second pass with others."""
    plain = Shot("woman, red apple", "", 1, 2, "DDIM", 3.0, 64, 64, "papertown", base.hash, (ONE,))
    uses = [
        (ONE,), (ONE, OTHER), (dataclasses.replace(ONE, strength=0.25, te_strength=0.0), OTHER), (),
        (dataclasses.replace(OTHER, strength=-0.5),),
    ]  # fmt: skip
    shots = [dataclasses.replace(plain, seed=seed, loras=loras) for seed, loras in enumerate([*uses, *uses])]
    second = dataclasses.replace(
        plain, width=96, height=96, loras=(OTHER,), start=Start(0.4, shot=shots[1])
    )  # another LoRA than the first pass
    return [*shots[:5], second, *shots[5:]]


def drawing(base: BaseModel, shots: list[Shot]) -> Iterator[list[Drawing]]:
    files = {"one": random_lora(base, 1), "other": random_lora(base, 2)}
    loras = {use: files[use.name] for shot in shots for each in shot.passes for use in each.loras}
    return engine.draw_batches(base, shots, loras, batch_size=1)


def all_bytes(base: BaseModel) -> dict[str, bytes]:
    """Return the bytes of every weight and buffer, in which zeros of either sign differ."""
    parts = {"unet": base.denoiser, "text encoder": base.text_encoders[0], "vae": base.vae}
    return {
        f"{part} {name}": value.contiguous().view(torch.uint8).numpy().tobytes()
        for part, model in parts.items()
        for name, value in model.state_dict().items()
    }


def changed(base: BaseModel, before: dict[str, bytes]) -> list[str]:
    """Return the names of the weights that have changed."""
    now = all_bytes(base)
    return [name for name in now.keys() | before.keys() if now.get(name) != before.get(name)]


def test_after_several_loras_and_strengths(papertown: BaseModel) -> None:
    before, shots = all_bytes(papertown), mixed_shots(papertown)
    seen = set()
    for _ in drawing(papertown, shots):
        seen.add(hash(tuple(all_bytes(papertown).values())))
    assert changed(papertown, before) == []
    assert len(seen) > 4  # the weights did change in between


@pytest.mark.parametrize("failing_call", [1, 2, 5, 12])
@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt()], ids=["error", "Ctrl-C"])
def test_after_an_error_while_drawing(
    papertown: BaseModel, monkeypatch: pytest.MonkeyPatch, failing_call: int, error: BaseException
) -> None:
    before = all_bytes(papertown)
    fail_at(monkeypatch, small_cpu, "predict", failing_call, error)
    with pytest.raises(type(error)):
        list(drawing(papertown, mixed_shots(papertown)))
    assert changed(papertown, before) == []


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("out of memory"), KeyboardInterrupt()])
@pytest.mark.parametrize("failing_call", [1, 60, 400])
def test_after_an_error_while_merging(
    papertown: BaseModel, monkeypatch: pytest.MonkeyPatch, failing_call: int, error: BaseException
) -> None:
    before = all_bytes(papertown)
    fail_at(monkeypatch, LoraModule, "delta", failing_call, error)
    with pytest.raises(type(error)):
        list(drawing(papertown, mixed_shots(papertown)))
    assert changed(papertown, before) == []


def test_after_a_lora_that_does_not_fit(papertown: BaseModel) -> None:
    before = all_bytes(papertown)
    shots = mixed_shots(papertown)
    small = {"lora_unet_conv_in": LoraModule(torch.ones(1, 1), torch.ones(1, 1), 1.0)}
    loras = {use: random_lora(papertown, 1) for shot in shots for each in shot.passes for use in each.loras}
    loras[OTHER] = LoraFile(small, {"ss_output_name": "small"})
    with pytest.raises(UserError, match="small"):
        list(engine.draw_batches(papertown, shots, loras, batch_size=1))
    assert changed(papertown, before) == []


@pytest.mark.parametrize("batches", range(1, 11))
def test_after_the_generator_was_closed_early(papertown: BaseModel, batches: int) -> None:
    before = all_bytes(papertown)
    drawn = drawing(papertown, mixed_shots(papertown))
    for _ in range(batches):
        next(drawn)
    drawn.close()  # type: ignore[attr-defined]
    assert changed(papertown, before) == []


def fail_at(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, failing_call: int, error: BaseException
) -> None:
    """Make this call of a method fail; calls before it work."""
    calls = 0
    method: Callable[..., Any] = getattr(owner, name)

    def wrapped(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == failing_call:
            raise error
        return method(*arguments, **named)

    monkeypatch.setattr(owner, name, wrapped)
