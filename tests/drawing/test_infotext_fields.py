"""Infotext of other tools: sampler and schedule in every spelling, what sid does not honour by name, and numbers.

Whatever an infotext says is drawn with, named, or refused in one line; nothing is dropped.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from safetensors.torch import save_file

from bootstrap.drawing import infotext, infotext_shot, infotext_unused
from bootstrap.errors import UserError
from bootstrap.files import sha256_of_file
from bootstrap.models.family import SAMPLERS, SCHEDULES, BaseModel
from bootstrap.shots import Shot, Start
from tests.sid_command import in_this_process

FIELDS = (
    "Steps: 3, Sampler: DPM++ 2M, CFG scale: 3, Seed: 42, Size: 64x64, Model: papertown, RNG: CPU, "
    "Version: v1.10.1"
)

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return in_this_process(monkeypatch, capsys)


def picture(folder: Path, fields: str, prompt: str = "woman, red apple") -> Path:
    """A picture of another tool."""
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt("parameters", f"{prompt}\n{fields}")
    Image.new("RGB", (64, 64)).save(folder / "foreign.png", pnginfo=chunks)
    return folder / "foreign.png"


def read(fields: str) -> Shot:
    return infotext_shot.of_infotext(Path("a.png"), infotext.read(f"woman\n{fields}"))


def redrawn(run: Run, folder: Path, fields: str, prompt: str = "woman, red apple") -> tuple[np.ndarray, str]:
    """The pixels that `sid redraw` draws, and what it says."""
    out = folder / "out.png"
    code, said, refused = run(
        "--workspace", str(folder), "redraw", str(picture(folder, fields, prompt)), "--base", "papertown", "--output",
        str(out),
    )  # fmt: skip
    assert code == 0, refused
    with Image.open(out) as drawn:
        return np.asarray(drawn, dtype=np.int16), said


V1_10, V1_8, V1_6 = "v1.10.1", "v1.8.0-RC", "v1.6.0"


@pytest.mark.parametrize(
    ("sampler", "kind", "version", "expected"),
    [
        # A1111 1.9 and later write both, whatever they are.
        ("DPM++ 2M", "Karras", V1_10, ("DPM++ 2M", "Karras")),
        ("DPM++ 2M", "Automatic", V1_10, ("DPM++ 2M", "Automatic")),
        ("DPM++ 2M", "Uniform", V1_10, ("DPM++ 2M", "Normal")),
        ("Euler", "SGM Uniform", V1_10, ("Euler", "SGM Uniform")),
        ("Euler", "SGMUniform", V1_10, ("Euler", "SGM Uniform")),
        ("Euler a", "Beta", V1_10, ("Euler a", "Beta")),
        ("Euler a", "Simple", V1_10, ("Euler a", "Simple")),
        ("Heun", "DDIM", V1_10, ("Heun", "DDIM uniform")),
        ("DPM++ SDE", "Polyexponential", V1_10, ("DPM++ SDE", "Exponential")),
        ("DPM++ 2M SDE", "", V1_10, ("DPM++ 2M SDE", "Automatic")),
        ("DPM++ 2M Karras", "", V1_10, ("DPM++ 2M", "Karras")),
        ("DPM++ 2M Karras", "Karras", V1_10, ("DPM++ 2M", "Karras")),
        ("DPM++ 2M Karras", "Automatic", V1_10, ("DPM++ 2M", "Karras")),
        ("DPM++ 2M", "Karras", "f2.0.1v1.10.1-previous-659", ("DPM++ 2M", "Karras")),  # Forge
        ("DPM++ 2M", "", "f2.0.1v1.10.1-previous-659", ("DPM++ 2M", "Automatic")),
        # DDIM and UniPC take no notice of it there.
        ("DDIM", "Karras", V1_10, ("DDIM", "Automatic")),
        ("UniPC", "Align Your Steps", V1_10, ("UniPC", "Automatic")),
        ("LCM", "Uniform", V1_10, ("LCM", "Automatic")),
        ("LCM", "Karras", V1_10, ("LCM", "Karras")),
        # 1.6 to 1.8: in the sampler's name, or an option in small letters, which goes before the name.
        ("DPM++ 2M Karras", "", V1_8, ("DPM++ 2M", "Karras")),
        ("DPM++ 2M SDE Exponential", "", V1_8, ("DPM++ 2M SDE", "Exponential")),
        ("DPM++ 2M", "karras", V1_6, ("DPM++ 2M", "Karras")),
        ("Euler", "polyexponential", V1_6, ("Euler", "Exponential")),
        ("DPM++ 2M Karras", "exponential", V1_6, ("DPM++ 2M", "Exponential")),
        ("DPM++ 2M", "", V1_8, ("DPM++ 2M", "Normal")),
        ("DPM++ SDE", "", "v1.3.2", ("DPM++ SDE", "Normal")),
        ("DPM++ SDE", "", "", ("DPM++ SDE", "Normal")),  # before 1.3 there was no Version
        ("DDIM", "", "", ("DDIM", "Automatic")),
        ("LCM", "", V1_8, ("LCM", "Automatic")),
        ("euler A", "", V1_8, ("Euler a", "Normal")),
        # ComfyUI's names, as nodes that save infotext write them.
        ("dpmpp_2m", "karras", "ComfyUI", ("DPM++ 2M", "Karras")),
        ("dpmpp_2m_karras", "", "ComfyUI", ("DPM++ 2M", "Karras")),
        ("dpmpp_2m_sde_gpu_sgm_uniform", "", "ComfyUI", ("DPM++ 2M SDE", "SGM Uniform")),
        ("euler_ancestral", "", "ComfyUI", ("Euler a", "Normal")),
        ("ddim", "ddim_uniform", "ComfyUI", ("DDIM", "DDIM uniform")),
        ("uni_pc", "simple", "ComfyUI", ("UniPC", "Simple")),
        # A1111's names for ComfyUI's, as its graph is read.
        ("DDIM", "Karras", "ComfyUI", ("DDIM", "Karras")),
        ("UniPC", "Normal", "SwarmUI 0.9.3.1", ("UniPC", "Normal")),
        ("LCM", "SGM Uniform", "Fooocus v2.5.0", ("LCM", "SGM Uniform")),
        # Our own: before the schedule was a setting they keep the older rule.
        ("DPM++ 2M Karras", "", "sid", ("DPM++ 2M Karras", "")),
        ("DDIM", "", "sid", ("DDIM", "")),
        ("DDIM", "Karras", "sid", ("DDIM", "Karras")),
    ],
)  # fmt: skip
def test_sampler_and_schedule_in_every_spelling(
    sampler: str, kind: str, version: str, expected: tuple[str, str]
) -> None:
    fields = f"Steps: 3, Sampler: {sampler}, CFG scale: 3, Seed: 1, Size: 64x64"
    shot = read(
        fields + (f", Schedule type: {kind}" if kind else "") + (f", Version: {version}" if version else "")
    )
    assert (shot.sampler, shot.schedule) == expected


def test_other_tools_take_notice_of_the_schedule_with_every_sampler() -> None:
    text = "woman\nSteps: 3, Sampler: DDIM, Schedule type: {}, CFG scale: 3, Seed: 1, Size: 64x64"
    for kind in ("Karras", "Normal", ""):
        parameters = dataclasses.replace(infotext.read(text.format(kind)), tool="ComfyUI")
        shot = infotext_shot.of_infotext(Path("a.png"), parameters)
        assert (shot.sampler, shot.schedule) == ("DDIM", kind or "Normal")
    parameters = dataclasses.replace(infotext.read(text.format("Beta")), tool="SwarmUI")
    with pytest.raises(UserError, match="'beta' of SwarmUI"):
        infotext_shot.of_infotext(Path("a.png"), parameters)


@pytest.mark.parametrize(
    ("sampler", "kind", "problem"),
    [
        ("Euler", "KL Optimal", "Schedule type: KL Optimal, which sid does not have"),
        ("Euler", "Align Your Steps", "Align Your Steps, which"),
        ("Euler", "Turbo", "Turbo, which"),
        ("Euler", "react_cosinusoidal_dynsf", "react_cosinusoidal_dynsf, which"),
        ("DPM++ 2M Karras", "Exponential", "two schedules: Sampler: DPM.. 2M Karras, Schedule type: Exponential"),
        ("euler", "beta", "'beta' of ComfyUI"),
        ("Restart", "Karras", "sampler 'Restart': unknown"),
        ("DPM adaptive", "", "sampler 'DPM adaptive': unknown"),
        ("DPM++ 2M SDE Heun", "Karras", "sampler 'DPM.. 2M SDE Heun': unknown"),
    ],
)  # fmt: skip
def test_an_unknown_schedule_or_sampler_is_refused_by_name(
    run: Run, tmp_path: Path, sampler: str, kind: str, problem: str
) -> None:
    fields = FIELDS.replace("DPM++ 2M", sampler) + (f", Schedule type: {kind}" if kind else "")
    path = str(picture(tmp_path, fields))
    code, said, refused = run("--workspace", str(tmp_path), "redraw", path, "--base", "papertown")
    assert (code, refused.count("\n"), said) == (2, 1, "")
    assert problem.replace("..", "++") in refused
    code, said, _ = run("show", path)
    assert code == 0
    assert problem.replace("..", "++") in said


def test_each_schedule_is_drawn(run: Run, tmp_path: Path) -> None:
    kinds = ["", "Karras", "Exponential", "SGM Uniform", "Beta"]
    drawn = [
        redrawn(run, tmp_path, FIELDS + (f", Schedule type: {kind}" if kind else ""))[0] for kind in kinds
    ]
    assert len({each.tobytes() for each in drawn}) == len(kinds)
    in_small_letters = redrawn(run, tmp_path, FIELDS + ", Schedule type: karras")[0]
    assert np.array_equal(in_small_letters, drawn[1])
    older_spelling = redrawn(run, tmp_path, FIELDS.replace("DPM++ 2M", "DPM++ 2M Karras"))[0]
    assert np.array_equal(older_spelling, drawn[1])


OTHERS = {
    "ControlNet 0": '"Module: openpose, Model: control_v11p, Weight: 1"', "ADetailer model": "face_yolov8n.pt",
    "Emphasis": "No norm", "Face restoration": "CodeFormer", "Tiling": "True", "Eta": "0.5", "ENSD": "31337",
    "NGMS": "1", "Token merging ratio": "0.5", "FreeU Stages": "x", "VAE": "other.safetensors",
    "Seed resize from": "512x512", "Old prompt editing timelines": "True", "AddNet Enabled": "True", "RNG": "NV",
    "Schedule rho": "5", "Hypernet": "x", "Never heard of": "this",
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_whatever_is_not_honoured_is_named(name: str) -> None:
    parameters = infotext.read(f"woman\n{FIELDS}, {name}: {OTHERS[name]}")
    [line] = infotext_unused.told(None, parameters)
    assert line == f"not honoured by sid, so a redrawn picture differs: {name}"


def test_redraw_and_show_name_all_of_it_in_one_line(run: Run, tmp_path: Path) -> None:
    fields = FIELDS + "".join(f", {name}: {value}" for name, value in OTHERS.items())
    prompt = "woman, (red apple:1.2) <hypernet:ink:1>"
    _, said = redrawn(run, tmp_path, fields, prompt)
    [named] = [line for line in said.splitlines() if "not honoured" in line]
    _, shown, _ = run("show", str(tmp_path / "foreign.png"))
    assert named in shown.splitlines()
    found = named.partition(": ")[2].split(", ")
    assert sorted(found) == sorted([*OTHERS, "<hypernet:ink>"])
    _, as_json, _ = run("show", "--json", str(tmp_path / "foreign.png"))
    assert all(f'"{name}"' in as_json.partition('"not_honoured"')[2] for name in OTHERS)


@pytest.mark.parametrize(
    "extra",
    ["lbw=OUTD", "lbw=1,0,0,0,0,0,0,1,1,1,1,1,1,1,1,1,1", "in=0:mid=1:out=0", "step=5-15", "dyn=8", "1:8"],
)
def test_what_stands_beside_a_loras_strength_is_named(extra: str) -> None:
    parameters = infotext.read(f"woman <lora:ink:0.7:{extra}>\n{FIELDS}")
    [line] = infotext_unused.told(None, parameters)
    for argument in extra.split(":") if "=" in extra else ["dyn=8"]:
        assert f"{argument} of <lora:ink>" in line


def test_what_is_honoured_is_not_named() -> None:
    hires = "Denoising strength: 0.5, Hires upscale: 2, Hires steps: 4, Hires upscaler: Lanczos, Hires CFG Scale: 2"
    same = "Hires Module 1: Use same choices, Emphasis: Original, Batch size: 2, Batch pos: 1, User: anna"
    loras = 'Lora hashes: "ink: 0123456789ab", TI hashes: "bad: 0123456789ab", Clip skip: 2, Model hash: 0123456789'
    parameters = infotext.read(
        f"woman <lora:ink:0.5:0.4>\n{FIELDS}, {hires}, {same}, {loras}, Schedule type: Beta"
    )
    assert infotext_unused.told(None, parameters) == []
    assert read(f"{FIELDS}, {hires}, {same}").hires is not None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Clip skip", "0"), ("Clip skip", "99"), ("Clip skip", "-1"), ("Clip skip", "two"), ("Steps", "0"),
        ("Steps", "-4"), ("Steps", "151"), ("Steps", "20.5"), ("Size", "0x0"), ("Size", "-64x64"), ("Size", "64x-64"),
        ("Size", "100x101"), ("Size", "64"), ("Size", "64x64x64"), ("Size", "x"), ("CFG scale", "nan"),
        ("CFG scale", "inf"), ("CFG scale", "-inf"), ("CFG scale", "0"), ("CFG scale", "1e400"), ("Seed", "-1"),
        ("Seed", "4294967296"), ("Seed", "1.5"), ("Seed", "nan"), ("Hires steps", "-1"), ("Hires upscale", "nan"),
        ("Hires upscale", "0"), ("Hires resize", "0x0"), ("Denoising strength", "nan"), ("Denoising strength", "2"),
        ("Hires CFG Scale", "inf"),
    ],
)  # fmt: skip
def test_a_number_that_no_setting_could_have_is_refused_in_one_line(
    run: Run, tmp_path: Path, field: str, value: str
) -> None:
    fields = dict(pair.split(": ") for pair in FIELDS.split(", "))
    if field.startswith("Hires") or field == "Denoising strength":
        fields |= {"Hires upscale": "2", "Hires upscaler": "Lanczos", "Denoising strength": "0.5"}
    text = ", ".join(f"{name}: {text}" for name, text in (fields | {field: value}).items())
    path = str(picture(tmp_path, text))
    code, said, refused = run("--workspace", str(tmp_path), "redraw", path, "--base", "papertown")
    assert (code, refused.count("\n"), said) == (2, 1, "")
    assert f"{field}: {value}" in refused
    code, said, _ = run("show", path)
    assert code == 0
    assert f"it cannot be redrawn: picture {path}: its infotext says {field}: {value}" in said


@pytest.mark.parametrize("strength", ["nan", "inf", "1e300", "strong"])
def test_a_strength_that_is_none_is_refused(run: Run, tmp_path: Path, strength: str) -> None:
    path = str(picture(tmp_path, FIELDS, f"woman <lora:ink:{strength}>"))
    code, _, refused = run("--workspace", str(tmp_path), "redraw", path, "--base", "papertown")
    assert (code, refused.count("\n")) == (2, 1)
    assert "<lora:ink>: its strength is not a number from -1000 to 1000" in refused


@pytest.mark.parametrize("name", ["sparkplain", "spark, v2", "a:b"])
def test_an_embedding_is_used_whatever_its_name(
    papertown: BaseModel, run: Run, tmp_path: Path, name: str
) -> None:
    """Infotext's list of hashes leaves commas and colons out of a name, the prompt has them."""
    prompt = f"woman, {name}, hat"
    plain, _ = redrawn(run, tmp_path, FIELDS, prompt)
    path = tmp_path / "embeddings" / f"{name}.safetensors"
    path.parent.mkdir()
    width = papertown.text_encoders[0].config.hidden_size
    save_file({"emb_params": torch.randn(3, width, generator=torch.Generator().manual_seed(0))}, path)
    written = name.replace(",", "").replace(":", "")
    hashes = f', TI hashes: "{written}: {sha256_of_file(path)[:12]}"'
    drawn, _ = redrawn(run, tmp_path, FIELDS + hashes, prompt)
    assert np.abs(drawn - plain).max() > 2


def test_the_older_rule_is_told(run: Run, tmp_path: Path) -> None:
    fields = FIELDS.replace("v1.10.1", "sid").replace("DPM++ 2M", "DPM++ 2M Karras")
    older, said = redrawn(run, tmp_path, fields)
    assert "older rule" in said
    shot = infotext.shot_of(tmp_path / "out.png")
    assert (shot.sampler, shot.schedule) == ("DPM++ 2M Karras", "")
    _, shown, _ = run("show", str(tmp_path / "out.png"))
    assert "older rule" in shown
    newer, said = redrawn(run, tmp_path, FIELDS + ", Schedule type: Karras")
    assert "older rule" not in said
    assert np.abs(older - newer).max() > 2


numbers = {
    "seed": st.integers(0, 2**32 - 1),
    "steps": st.integers(1, 50),
    "cfg_scale": st.integers(10, 300).map(lambda tenths: tenths / 10),
    "clip_skip": st.integers(1, 12),
    "width": st.integers(8, 64).map(lambda eighths: 8 * eighths),
    "height": st.integers(8, 64).map(lambda eighths: 8 * eighths),
}
words = st.text(st.characters(whitelist_categories=["L", "N"]), min_size=1, max_size=8)
prompts = st.lists(
    words | st.sampled_from(["(red hat:1.2)", "a: b", '"c", d', "[x|y]", "\\(z\\)"]), min_size=1, max_size=5
)


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_random_settings_are_written_and_read_back_equal(data: st.DataObject) -> None:
    values = data.draw(st.fixed_dictionaries(numbers))
    shot = Shot(
        ", ".join(data.draw(prompts)), ", ".join(data.draw(prompts)), sampler=data.draw(st.sampled_from(SAMPLERS)),
        schedule=data.draw(st.sampled_from(["", *SCHEDULES])), base_model="", base_model_hash="", loras=(), **values,
    )  # fmt: skip
    if data.draw(st.booleans()):
        width, height = (8 * round(side * 1.5 / 8) for side in (shot.width, shot.height))
        steps, scale = data.draw(numbers["steps"]), data.draw(numbers["cfg_scale"])
        changed = {"width": width, "height": height, "steps": steps, "cfg_scale": scale}
        shot = Shot(**{**vars_of(shot), **changed, "start": Start(0.5, shot=shot)})
    text = infotext.write(shot, data.draw(words), {})
    parameters = infotext.read(text)
    assert infotext_unused.unused(parameters) == []
    assert infotext_shot.of_infotext(Path("a.png"), parameters) == shot


def vars_of(shot: Shot) -> dict[str, object]:
    return {name: getattr(shot, name) for name in shot.__dataclass_fields__}
