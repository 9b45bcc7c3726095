"""Pictures of SwarmUI, Fooocus, InvokeAI, NovelAI, Easy Diffusion and Draw Things, and of tools that nobody knows."""

import html
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bootstrap.drawing import infotext
from bootstrap.drawing.infotext import Infotext
from bootstrap.drawing.metadata import of_picture
from tests.drawing.metadata.pictures import INFO, SIZE, exif, hidden, png, with_exif
from tests.sid_command import in_this_process


@pytest.fixture
def sid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.setenv("SID_WORKSPACE", str(tmp_path / "workspace"))
    return in_this_process(monkeypatch, capsys)


def read(path: Path) -> Infotext:
    found = of_picture.read(path)
    assert found.parameters is not None, found
    return found.parameters


def as_comments(path: Path, value: Any) -> list[Path]:
    """The JSON as UserComments: of UNICODE, and without an encoding in the first directory, as Fooocus writes it."""
    text = json.dumps(value)
    return [
        with_exif(path.with_suffix(".jpg"), exif(b"UNICODE\0" + text.encode("utf-16-be"))),
        with_exif(path.with_suffix(".webp"), exif(text.encode() + b"\0", kind=2, in_first=True)),
    ]


SWARM = {
    "sui_image_params": {
        "prompt": "a red apple", "negativeprompt": "lowres", "model": "Official/sd_xl_base_1.0",
        "seed": 1102676403634909,
        "steps": "20", "cfgscale": 7.5, "width": 512, "height": "768", "sampler": "dpmpp_2m", "scheduler": "karras",
        "loras": "style/ink.safetensors,wet", "loraweights": ["0.8", "-0.5"], "clipstopatlayer": -2,
        "automaticvae": True, "nopreviews": True, "swarm_version": "0.9.3.1", "freeuapplyto": "Both",
    },
    "sui_models": [{"name": "style/ink.safetensors", "param": "loras", "hash": "0x0123456789abcdef"}],
    "sui_extra_data": {"date": "2024-11-13", "generation_time": "6.11 seconds"},
}  # fmt: skip


def test_swarmui_is_read(tmp_path: Path) -> None:
    for path in (png(tmp_path / "a.png", parameters=SWARM), *as_comments(tmp_path / "a", SWARM)):
        assert read(path) == Infotext(
            "a red apple <lora:ink:0.8> <lora:wet:-0.5>", "lowres",
            {
                "Steps": "20", "Sampler": "DPM++ 2M", "Schedule type": "Karras", "CFG scale": "7.5",
                "Seed": "1102676403634909", "Size": "512x768", "Model": "sd_xl_base_1.0", "Clip skip": "2",
                "RNG": "CPU", "Lora hashes": "ink: 0123456789ab", "freeuapplyto": "Both", "Version": "SwarmUI 0.9.3.1",
            },
            "SwarmUI",
        )  # fmt: skip


FOOOCUS = {
    "adm_guidance": "(1.5, 0.8, 0.3)", "base_model": "juggernautXL_v8Rundiffusion", "base_model_hash": "aeb7e9e689",
    "clip_skip": 2, "full_negative_prompt": ["lowres", "blurry"], "full_prompt": ["a red apple", "cinematic apple"],
    "guidance_scale": 4, "lora_combined_1": "sd_xl_offset_example-lora_1.0 : 0.1", "lora_combined_2": "None : 1.0",
    "loras": [["sd_xl_offset_example-lora_1.0", 0.1, "4852686128"]], "metadata_scheme": "fooocus",
    "negative_prompt": "lowres", "performance": "Speed", "prompt": "a red apple", "refiner_model": "None",
    "refiner_switch": 0.8, "resolution": "(1152, 896)", "sampler": "dpmpp_2m_sde_gpu", "scheduler": "karras",
    "seed": "1065", "sharpness": 2, "steps": 30, "styles": "['Fooocus V2']", "vae": "Default (model)",
    "version": "Fooocus v2.5.0",
}  # fmt: skip
OF_FOOOCUS = {
    "Steps": "30", "Sampler": "DPM++ 2M SDE", "Schedule type": "Karras", "CFG scale": "4", "Seed": "1065",
    "Size": "1152x896", "Model hash": "aeb7e9e689", "Model": "juggernautXL_v8Rundiffusion", "Clip skip": "2",
    "Sharpness": "2", "ADM Guidance": "(1.5, 0.8, 0.3)", "Performance": "Speed", "Styles": "['Fooocus V2']",
    "Version": "Fooocus v2.5.0",
}  # fmt: skip


def test_fooocus_is_read(tmp_path: Path) -> None:
    paths = [
        png(tmp_path / "a.png", parameters=FOOOCUS, fooocus_scheme="fooocus"),
        *as_comments(tmp_path / "a", FOOOCUS),
    ]
    for path in paths:
        assert read(path) == Infotext(
            "a red apple, cinematic apple <lora:sd_xl_offset_example-lora_1.0:0.1>", "lowres, blurry", OF_FOOOCUS,
            "Fooocus",
        )  # fmt: skip


def test_fooocus_infotext_has_its_loras_and_schedule(tmp_path: Path) -> None:
    text = (
        "a red apple\nNegative prompt: lowres\nSteps: 30, Sampler: DPM++ 2M SDE Karras, Seed: 1065, Size: 1152x896, "
        "CFG scale: 4, Sharpness: 2, Model: juggernaut, Scheduler: karras, Raw prompt: a red apple, "
        'Raw negative prompt: lowres, Lora hashes: "ink: 4852686128, b: 1", Lora weights: "ink: 0.1, b: 1.0", '
        "Version: Fooocus v2.5.0"
    )
    found = read(png(tmp_path / "a.png", parameters=text, fooocus_scheme="a1111"))
    assert (found.prompt, found.tool) == ("a red apple <lora:ink:0.1> <lora:b:1>", "Fooocus")
    assert found.fields == {
        "Steps": "30", "Sampler": "DPM++ 2M SDE Karras", "Seed": "1065", "Size": "1152x896", "CFG scale": "4",
        "Sharpness": "2", "Model": "juggernaut", "Schedule type": "Karras", "Version": "Fooocus v2.5.0",
    }  # fmt: skip


def test_ruined_fooocus_is_read(tmp_path: Path) -> None:
    value = {
        "Prompt": "a red apple", "Negative": "lowres", "steps": 30, "cfg": 8, "width": 1152, "height": 896, "seed": 77,
        "sampler_name": "euler_ancestral", "scheduler": "sgm_uniform", "base_model_name": "a.safetensors",
        "loras": [{"name": "ink.safetensors", "weight": 0.5}], "software": "RuinedFooocus",
    }  # fmt: skip
    found = read(png(tmp_path / "a.png", parameters=value))
    assert (found.prompt, found.negative_prompt) == ("a red apple <lora:ink:0.5>", "lowres")
    assert found.fields == {
        "Steps": "30", "Sampler": "Euler a", "Schedule type": "SGM Uniform", "CFG scale": "8", "Seed": "77",
        "Size": "1152x896", "Model": "a", "Version": "RuinedFooocus",
    }  # fmt: skip


INVOKE = {
    "generation_mode": "txt2img", "positive_prompt": "a red apple", "negative_prompt": "lowres", "width": 512,
    "height": 768, "seed": 123, "rand_device": "cpu", "cfg_scale": 7.5, "steps": 30, "scheduler": "dpmpp_2m_k",
    "clip_skip": 1, "model": {"key": "k", "hash": "blake3:1", "name": "dreamshaper-8", "base": "sd-1", "type": "main"},
    "controlnets": [], "loras": [{"model": {"key": "l", "name": "ink"}, "weight": 0.75}], "seamless_x": False,
    "app_version": "4.2.0",
}  # fmt: skip
OF_INVOKE = {
    "Steps": "30", "Sampler": "DPM++ 2M", "Schedule type": "Karras", "CFG scale": "7.5", "Seed": "123",
    "Size": "512x768", "Model": "dreamshaper-8", "Clip skip": "2", "RNG": "CPU", "Version": "InvokeAI 4.2.0",
}  # fmt: skip


def test_invokeai_is_read_in_versions_3_and_4(tmp_path: Path) -> None:
    older = INVOKE | {
        "model": {"model_name": "dreamshaper-8", "base_model": "sd-1"},
        "loras": [{"lora": {"model_name": "ink", "base_model": "sd-1"}, "weight": 0.75}],
    }
    for value in (INVOKE, older):
        found = read(png(tmp_path / "a.png", invokeai_metadata=value, invokeai_graph={"nodes": {}}))
        assert found == Infotext("a red apple <lora:ink:0.75>", "lowres", OF_INVOKE, "InvokeAI")
    used = INVOKE | {
        "controlnets": [{"control_model": 1}],
        "positive_style_prompt": "ink",
        "negative_prompt": None,
    }
    found = read(png(tmp_path / "a.png", invokeai_metadata=used))
    assert found.refusals == (
        "it was made with ControlNets, which sid does not support",
        "it was drawn with a style prompt of its own ('ink')",
    )


def test_invokeai_is_read_in_version_2_and_as_a_command_line(tmp_path: Path) -> None:
    value = {
        "model": "stable diffusion", "model_weights": "stable-diffusion-1.5", "model_hash": "cc6cb27103417325ff94f52b7",
        "app_id": "invoke-ai/InvokeAI", "app_version": "2.3.5",
        "image": {
            "prompt": [{"prompt": "a red apple [lowres, bad]", "weight": 1.0}], "steps": 50, "cfg_scale": 7.5,
            "threshold": 0, "perlin": 0, "height": 768, "width": 512, "seed": 123, "seamless": False,
            "hires_fix": False, "type": "txt2img", "postprocessing": None, "sampler": "k_euler_a", "variations": [],
        },
    }  # fmt: skip
    line = '"a red apple [lowres, bad]" -s 50 -S 123 -W 512 -H 768 -C 7.5 -A k_euler_a'
    path = png(tmp_path / "a.png", sd_of_metadata=value, Dream=line)
    expected = {
        "Steps": "50", "Sampler": "Euler a", "CFG scale": "7.5", "Seed": "123", "Size": "512x768",
        "Model": "stable-diffusion-1.5", "Version": "InvokeAI 2.3.5",
    }  # fmt: skip
    assert read(path) == Infotext("a red apple", "lowres, bad", expected, "InvokeAI")
    del expected["Model"]
    for place in ("Dream", "dream"):
        found = read(png(tmp_path / "b.png", **{place: line}))
        assert found == Infotext("a red apple", "lowres, bad", expected | {"Version": "InvokeAI"}, "InvokeAI")
    changed = read(png(tmp_path / "b.png", Dream=f"{line} -I a.png -f 0.5"))
    assert changed.refusals == ("it was made with an initial picture, which sid does not support",)


NOVEL = {
    "prompt": "a red apple", "steps": 28, "height": 768, "width": 512, "scale": 5.0, "uncond_scale": 1.0,
    "cfg_rescale": 0.0, "seed": 3365, "n_samples": 1, "noise_schedule": "karras", "sampler": "k_euler_ancestral",
    "sm": False, "sm_dyn": False, "uc": "lowres", "strength": 0.69, "request_type": "PromptGenerateRequest",
}  # fmt: skip
OF_NOVEL = {
    "Steps": "28", "Sampler": "Euler a", "Schedule type": "Karras", "CFG scale": "5", "Seed": "3365",
    "Size": "512x768", "Model": "Stable Diffusion XL 7BCCAA2C", "Version": "NovelAI",
}  # fmt: skip


def of_novelai(**changes: Any) -> dict[str, str]:
    return {
        "Title": "AI generated image", "Description": "a red apple", "Software": "NovelAI",
        "Source": "Stable Diffusion XL 7BCCAA2C", "Comment": json.dumps(NOVEL | changes),
    }  # fmt: skip


def test_novelai_is_read_from_texts_and_from_the_pixels(tmp_path: Path) -> None:
    expected = Infotext("a red apple", "lowres", OF_NOVEL, "NovelAI")
    assert read(png(tmp_path / "a.png", **of_novelai())) == expected
    for ending in ("png", "webp"):
        path = hidden(tmp_path / f"b.{ending}", json.dumps(of_novelai()), b"stealth_pngcomp")
        assert read(path) == expected
    first_version = {
        key: value for key, value in NOVEL.items() if key not in ("width", "height", "prompt", "request_type")
    }
    oldest = of_novelai() | {"Comment": json.dumps(first_version)}
    assert read(png(tmp_path / "a.png", **oldest)).fields["Size"] == "64x64"
    assert read(png(tmp_path / "a.png", **oldest)).prompt == "a red apple"


def test_what_novelai_has_alone_is_named(tmp_path: Path) -> None:
    characters = {
        "caption": {"base_caption": "a red apple", "char_captions": [{"char_caption": "girl", "centers": []}]}
    }
    found = read(png(tmp_path / "a.png", **of_novelai(sm=True, v4_prompt=characters, cfg_rescale=0.5)))
    assert found.refusals == (
        "it was drawn with NovelAI's SMEA, which sid does not support",
        "its characters have prompts of their own, which sid does not support",
    )
    assert (found.prompt, found.fields["CFG Rescale"]) == ("a red apple | girl", "0.5")
    from_picture = read(png(tmp_path / "a.png", **of_novelai(request_type="Img2ImgRequest")))
    assert from_picture.fields["Denoising strength"] == "0.69"


EASY = {
    "prompt": "a red apple", "negative_prompt": "lowres", "seed": 5,
    "use_stable_diffusion_model": "sd/dreamshaper.ckpt", "clip_skip": True, "sampler_name": "dpmpp_2m", "width": 512,
    "height": 768, "num_inference_steps": 25, "guidance_scale": 7.5, "use_lora_model": ["ink"], "lora_alpha": [0.5],
    "use_vae_model": "None", "tiling": "none",
}  # fmt: skip
OF_PAGE = {
    "Prompt": "a red apple", "Negative Prompt": "lowres", "Seed": "5", "Stable Diffusion model": "sd/dreamshaper.ckpt",
    "Clip Skip": "True", "Sampler": "dpmpp_2m", "Width": "512", "Height": "768", "Steps": "25", "Guidance Scale": "7.5",
    "LoRA model": "ink", "LoRA Strength": "0.5",
}  # fmt: skip


def test_easy_diffusion_is_read(tmp_path: Path) -> None:
    as_texts = {key: str(value) for key, value in EASY.items()} | {
        "use_lora_model": "ink",
        "lora_alpha": "0.5",
    }
    paths = [
        png(tmp_path / "a.png", **as_texts),
        png(tmp_path / "b.png", **OF_PAGE),
        *as_comments(tmp_path / "c", EASY),
    ]
    for path in paths:
        assert read(path) == Infotext(
            "a red apple <lora:ink:0.5>", "lowres",
            {
                "Steps": "25", "Sampler": "DPM++ 2M", "CFG scale": "7.5", "Seed": "5", "Size": "512x768",
                "Model": "dreamshaper", "Clip skip": "2", "Version": "Easy Diffusion",
            },
            "Easy Diffusion",
        )  # fmt: skip


def test_draw_things_is_read(tmp_path: Path) -> None:
    value = {
        "c": 'a "red" apple & leaf', "uc": "lowres", "model": "dreamshaper_8.ckpt", "sampler": "DPM++ 2M Karras",
        "scale": 7.5, "seed": 5, "size": "512x768", "steps": 25, "strength": 1.0, "v2": {},
        "lora": [{"model": "ink.ckpt", "weight": 0.5}],
    }  # fmt: skip
    comment = f'<rdf:Alt><rdf:li xml:lang="x-default">{html.escape(json.dumps(value))}</rdf:li></rdf:Alt>'
    xmp = f"<x:xmpmeta><exif:UserComment>{comment}</exif:UserComment></x:xmpmeta>"
    Image.new("RGB", SIZE).save(tmp_path / "b.webp", xmp=xmp.encode())
    for path in (png(tmp_path / "a.png", **{"XML:com.adobe.xmp": xmp}), tmp_path / "b.webp"):
        found = read(path)
        assert (found.prompt, found.negative_prompt) == ('a "red" apple & leaf <lora:ink:0.5>', "lowres")
        assert found.fields == {
            "Steps": "25", "Sampler": "DPM++ 2M Karras", "CFG scale": "7.5", "Seed": "5", "Size": "512x768",
            "Model": "dreamshaper_8", "Version": "Draw Things",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("euler", ("Euler", "Normal")),
        ("euler_ancestral", ("Euler a", "SGM Uniform")),
        ("dpmpp_2m_sde_gpu", ("DPM++ 2M SDE", "Exponential")),
        ("dpmpp_sde", ("DPM++ SDE", "Simple")),
        ("uni_pc", ("UniPC", "DDIM uniform")),
        ("ddim", ("DDIM", "Beta")),
        ("lcm", ("LCM", "Karras")),
        ("of_somebody", ("of_somebody", "of_somebody_too")),
    ],
)
def test_samplers_and_schedules_have_a1111s_names(
    tmp_path: Path, name: str, expected: tuple[str, str]
) -> None:
    schedule = {value.lower().replace(" ", "_"): value for value in (expected[1],)}
    changed = SWARM["sui_image_params"] | {"sampler": name, "scheduler": next(iter(schedule))}
    found = read(png(tmp_path / "a.png", parameters={"sui_image_params": changed}))
    assert bool(found.refusals) == (expected[1] == "Beta")
    assert (found.fields["Sampler"], found.fields["Schedule type"]) == expected


def test_what_no_tool_is_known_for_is_shown_as_it_is(tmp_path: Path, sid: Callable[..., Any]) -> None:
    for texts in (
        {"Description": "a red apple --ar 3:2", "Author": "someone"},
        {"parameters": {"engine": "of tomorrow", "text": "a red apple"}},
        {"tomorrow": "a red apple"},
        {"prompt": '{"3": a red apple'},
    ):
        path = png(tmp_path / "a.png", **texts)
        code, out, err = sid("show", str(path))
        assert (code, err) == (0, "") and f"{next(iter(texts))}: " in out and "a red apple" in out
        assert "it cannot be redrawn: its text" in out
        code, out, _ = sid("show", str(path), "--json")
        assert code == 0 and "a red apple" in json.loads(out)["texts"][next(iter(texts))]
        code, out, err = sid("redraw", str(path), "--base", "papertown")
        assert code == 2 and err.startswith(f"sid: picture {path}: its text") and err.count("\n") == 1


def test_a_prompt_without_parameters_is_a_prompt(tmp_path: Path, sid: Callable[..., Any]) -> None:
    path = png(tmp_path / "a.png", parameters="a red apple\nNegative prompt: lowres")
    code, out, _ = sid("show", str(path))
    assert code == 0 and "prompt: a red apple" in out and "negative prompt: lowres" in out
    code, _, err = sid("redraw", str(path), "--base", "papertown")
    assert code == 2 and "its infotext does not have 'S" in err


def test_a_picture_that_says_nothing_is_refused(tmp_path: Path, sid: Callable[..., Any]) -> None:
    camera = exif(b"Canon\0", tag=0x010F, kind=2, in_first=True)
    for path in (png(tmp_path / "a.png"), with_exif(tmp_path / "b.jpg", camera)):
        for verb in ("show", "redraw"):
            code, out, err = sid(verb, str(path))
            assert (code, out) == (2, "")
            assert (
                "it has no shot of sid and no text of another tool, so nobody knows how it was drawn" in err
            )


def test_show_names_the_tool_and_why_it_cannot_be_redrawn(tmp_path: Path, sid: Callable[..., Any]) -> None:
    path = png(
        tmp_path / "a.png", invokeai_metadata=INVOKE | {"controlnets": [{}], "refiner_model": {"name": "x"}}
    )
    code, out, _ = sid("show", str(path))
    assert code == 0
    told = [line for line in out.splitlines() if line.startswith(("tool", "it cannot be redrawn"))]
    assert told == [
        "tool: InvokeAI",
        "it cannot be redrawn: it was made with ControlNets, which sid does not support",
        "it cannot be redrawn: it was made with a refiner, which sid does not support",
    ]
    code, _, err = sid("redraw", str(path), "--base", "papertown")
    assert code == 2 and "which sid does not support" in err


@pytest.mark.parametrize(
    "value",
    [
        {"sui_image_params": {"loras": 5, "seed": [1], "steps": {}, "width": None, "sampler": 3, "loraweights": "x"}},
        {"sui_image_params": {"loras": [1, None, {"a": 2}], "loraweights": [None]}, "sui_models": {"a": 1}},
        {"prompt": 5, "base_model": [], "loras": "x", "lora_combined_1": 7, "resolution": 3, "full_prompt": [1, None]},
        {"software": "RuinedFooocus", "loras": [5, {"name": 3}]},
        {"c": [], "v2": 3, "lora": [{"model": 3, "weight": "x"}], "strength": "y", "size": []},
        {"prompt": [], "num_inference_steps": {}, "use_lora_model": {}, "clip_skip": [], "tiling": [1]},
        {"1": {"class_type": "KSampler", "inputs": {"seed": {}, "model": ["1", "x"], "positive": [[], 1]}}},
        {"nodes": [5, {"type": "KSampler", "id": [], "widgets_values": [1], "inputs": 5}], "links": [[1], 5]},
    ],
)  # fmt: skip
def test_values_of_another_type_end_in_no_traceback(
    tmp_path: Path, value: Any, sid: Callable[..., Any]
) -> None:
    path = png(tmp_path / "a.png", parameters=value)
    assert sid("show", str(path))[0] == 0
    assert sid("redraw", str(path), "--base", "papertown")[0] == 2
    for place in ("invokeai_metadata", "sd-metadata", "Comment", "workflow"):
        other = png(tmp_path / "b.png", **{place.replace("-", "_of_"): value, "Software": "NovelAI"})
        assert sid("show", str(other))[0] == 0
    for image in ({"prompt": 5}, {"prompt": [5, {"prompt": 3}], "type": []}, 5):
        older = {"image": image, "loras": 5, "model": [], "controlnets": 3}
        for place in ("invokeai_metadata", "sd_of_metadata"):
            assert sid("show", str(png(tmp_path / "b.png", **{place: older})))[0] == 0


def test_hidden_text_that_is_damaged_or_too_long_is_none(tmp_path: Path) -> None:
    path = hidden(tmp_path / "a.png", INFO, b"stealth_pngcomp")
    assert read(path) == infotext.read(INFO)
    with Image.open(path) as picture:
        whole = picture.copy()
    # The signature takes the first column and half of the second, then the length follows, then what gzip has packed.
    for left, right, alpha in ((2, 3, 254), (1, 2, 255)):
        changed = whole.copy()
        changed.paste((254, 254, 254, alpha), (left, 40 if left == 1 else 0, right, 80))
        changed.save(tmp_path / "b.png")
        assert of_picture.read(tmp_path / "b.png").is_nothing
