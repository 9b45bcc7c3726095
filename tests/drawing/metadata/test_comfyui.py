"""ComfyUI's graphs: what is read, what is followed, and what is named because it cannot be redrawn."""

import json
from pathlib import Path
from typing import Any

import pytest

from bootstrap.drawing import infotext
from bootstrap.drawing.infotext import Infotext
from bootstrap.drawing.metadata import of_picture
from bootstrap.drawing.metadata.comfyui_graph import of_prompt
from tests.drawing.metadata.pictures import INFO, exif, png, with_exif

Graph = dict[str, dict[str, Any]]


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs, "_meta": {"title": kind}}


def graph(**changes: dict[str, Any] | None) -> Graph:
    """The graph that ComfyUI shows at first, with nodes added, exchanged or (None) taken out."""
    nodes: dict[str, dict[str, Any] | None] = {
        "sampling": node(
            "KSampler", seed=1102676403634909, steps=20, cfg=8.0, sampler_name="dpmpp_2m", scheduler="karras",
            denoise=1.0, model=["base", 0], positive=["positive", 0], negative=["negative", 0],
            latent_image=["latent", 0],
        ),
        "base": node("CheckpointLoaderSimple", ckpt_name="SD 1.5/dreamshaper_8.safetensors"),
        "latent": node("EmptyLatentImage", width=512, height=768, batch_size=1),
        "positive": node("CLIPTextEncode", text="a red apple", clip=["base", 1]),
        "negative": node("CLIPTextEncode", text="lowres", clip=["base", 1]),
        "decoded": node("VAEDecode", samples=["sampling", 0], vae=["base", 2]),
        "saved": node("SaveImage", filename_prefix="ComfyUI", images=["decoded", 0]),
    }  # fmt: skip
    nodes |= changes
    return {name: kept for name, kept in nodes.items() if kept is not None}


def sampling(**changes: Any) -> dict[str, Any]:
    inputs = graph()["sampling"]["inputs"] | changes
    return node("KSampler", **inputs)


def read(folder: Path, nodes: Graph, **others: Any) -> Infotext:
    found = of_picture.read(png(folder / "a.png", prompt=nodes, **others))
    assert found.parameters is not None, found
    return found.parameters


EXPECTED = {
    "Steps": "20", "Sampler": "DPM++ 2M", "Schedule type": "Karras", "CFG scale": "8", "Seed": "1102676403634909",
    "Size": "512x768", "Model": "dreamshaper_8", "RNG": "CPU", "Version": "ComfyUI",
}  # fmt: skip
KSAMPLER_ADVANCED = node(
    "KSamplerAdvanced", add_noise="enable", noise_seed=1102676403634909, steps=20, cfg=8, sampler_name="dpmpp_2m",
    scheduler="karras", start_at_step=0, end_at_step=10000, return_with_leftover_noise="disable", model=["base", 0],
    positive=["positive", 0], negative=["negative", 0], latent_image=["latent", 0],
)  # fmt: skip
SELECTED = node("KSamplerSelect", sampler_name="dpmpp_2m_gpu")
SIGMAS = node("BasicScheduler", scheduler="karras", steps=20, denoise=1.0, model=["base", 0])
SAME = {
    "KSampler": graph(),
    "without a saved picture": graph(decoded=None, saved=None),
    "KSamplerAdvanced": graph(sampling=KSAMPLER_ADVANCED),
    "SamplerCustom": graph(
        sampling=node(
            "SamplerCustom", add_noise=True, noise_seed=1102676403634909, cfg=8, model=["base", 0],
            positive=["positive", 0], negative=["negative", 0], sampler=["select", 0], sigmas=["sigmas", 0],
            latent_image=["latent", 0],
        ),
        select=SELECTED, sigmas=SIGMAS,
    ),
    "SamplerCustomAdvanced": graph(
        sampling=node(
            "SamplerCustomAdvanced", noise=["noise", 0], guider=["guider", 0], sampler=["select", 0],
            sigmas=["sigmas", 0], latent_image=["latent", 0],
        ),
        noise=node("RandomNoise", noise_seed=1102676403634909),
        guider=node("CFGGuider", cfg=8, model=["base", 0], positive=["positive", 0], negative=["negative", 0]),
        select=SELECTED, sigmas=SIGMAS,
    ),
    "values from nodes of their own": graph(
        sampling=sampling(seed=["seed", 0], steps=["steps", 0], cfg=["cfg", 0]),
        seed=node("Seed (rgthree)", seed=1102676403634909), steps=node("PrimitiveInt", value=20),
        cfg=node("FloatConstant", value=8.0), positive=node("CLIPTextEncode", text=["text", 0], clip=["base", 1]),
        text=node("Text Multiline", text="a red apple"), latent=node(
            "EmptyLatentImage", width=["width", 0], height=768, batch_size=1), width=node("INTConstant", value=512),
    ),
    "reroutes": graph(
        sampling=sampling(model=["r1", 0], positive=["r2", 0]), r1=node("Reroute (rgthree)", **{"": ["r3", 0]}),
        r3=node("Reroute", value=["base", 0]), r2=node("Reroute", value=["positive", 0]),
    ),
    "joined texts": graph(
        positive=node("CLIPTextEncode", text=["joined", 0], clip=["base", 1]),
        joined=node("StringConcatenate", string_a=["text", 0], string_b="apple", delimiter=" "),
        text=node("PrimitiveString", value="a red"),
    ),
    "a wildcard's text": graph(
        positive=node("CLIPTextEncode", text=["wildcard", 0], clip=["base", 1]),
        wildcard=node("ImpactWildcardProcessor", wildcard_text="a {red|green} apple", populated_text="a red apple",
                      mode="populate", seed=3),
    ),
    "SDXL's texts": graph(
        positive=node("CLIPTextEncodeSDXL", width=512, height=768, crop_w=0, crop_h=0, target_width=512,
                      target_height=768, text_g="a red apple", text_l="a red apple", clip=["base", 1]),
    ),
    "a preview beside the saved picture": graph(
        shown=node("PreviewImage", images=["decoded", 0]), other=node("PreviewImage", images=["second", 0]),
        second=node("VAEDecode", samples=["third", 0], vae=["base", 2]), third=sampling(seed=3),
    ),
}  # fmt: skip


@pytest.mark.parametrize("nodes", SAME.values(), ids=SAME)
def test_a_graph_is_read_whatever_its_nodes_are(tmp_path: Path, nodes: Graph) -> None:
    found = read(tmp_path, nodes, workflow={"nodes": []})
    assert found == Infotext("a red apple", "lowres", EXPECTED, "ComfyUI")


def test_loras_are_read_with_both_strengths_in_the_order_of_their_use(tmp_path: Path) -> None:
    nodes = graph(
        first=node("LoraLoader", lora_name="style\\ink v1.2.safetensors", strength_model=0.8, strength_clip=0.8,
                   model=["base", 0], clip=["base", 1]),
        second=node("LoraLoader", lora_name="wet.safetensors", strength_model=0.5, strength_clip=-0.25,
                    model=["first", 0], clip=["first", 1]),
        none=node("LoraLoader", lora_name="off.safetensors", strength_model=0, strength_clip=0,
                  model=["second", 0], clip=["second", 1]),
        third=node("LoraLoaderModelOnly", lora_name="fast.safetensors", strength_model=1, model=["none", 0]),
        skip=node("CLIPSetLastLayer", stop_at_clip_layer=-2, clip=["none", 1]),
        sampling=sampling(model=["third", 0]),
        positive=node("CLIPTextEncode", text="a red apple", clip=["skip", 0]),
        negative=node("CLIPTextEncode", text="", clip=["skip", 0]),
    )  # fmt: skip
    found = read(tmp_path, nodes)
    assert found.prompt == "a red apple <lora:ink v1.2:0.8> <lora:wet:-0.25:0.5> <lora:fast:0:1>"
    assert (found.negative_prompt, found.fields["Clip skip"], found.refusals) == ("", "2", ())


def test_the_picture_in_a_webp_or_another_tools_wrapper_is_read(tmp_path: Path) -> None:
    text = json.dumps(graph())
    in_model = exif(b"prompt:" + text.encode() + b"\0", tag=0x0110, kind=2, in_first=True)
    in_comment = exif(b"UNICODE\0" + json.dumps({"prompt": graph()}).encode("utf-16-le"))
    of_civitai = exif(
        b"UNICODE\0" + json.dumps(graph() | {"extra": {}, "extraMetadata": "{}"}).encode("utf-16-be")
    )
    as_text = exif(b"ASCII\0\0\0" + json.dumps({"prompt": text, "workflow": "{}"}).encode())
    for block in (in_model, in_comment, of_civitai, as_text):
        found = of_picture.read(with_exif(tmp_path / "a.webp", block)).parameters
        assert found == Infotext("a red apple", "lowres", EXPECTED, "ComfyUI")


def test_what_is_not_computed_is_nan_and_seeds_have_64_bits(tmp_path: Path) -> None:
    nodes = graph(sampling=sampling(seed=2**64 - 1))
    nodes["saved"]["is_changed"] = [float("nan")]
    assert read(tmp_path, nodes).fields["Seed"] == "18446744073709551615"


def test_infotext_that_a_node_has_written_goes_before_the_graph(tmp_path: Path) -> None:
    assert read(tmp_path, graph(), parameters=INFO) == infotext.read(INFO)


def combined(kind: str) -> Graph:
    return graph(
        sampling=sampling(positive=["both", 0]), other=node("CLIPTextEncode", text="a table", clip=["base", 1]),
        both=node(kind, conditioning_1=["positive", 0], conditioning_2=["other", 0]),
    )  # fmt: skip


NAMED = {
    "ConditioningCombine": (combined("ConditioningCombine"), "prompt goes through ConditioningCombine (node both)"),
    "ConditioningConcat": (combined("ConditioningConcat"), "prompt goes through ConditioningConcat (node both)"),
    "a ControlNet": (
        graph(
            sampling=sampling(positive=["control", 0], negative=["control", 1]),
            control=node("ControlNetApplyAdvanced", positive=["positive", 0], negative=["negative", 0], strength=1),
        ),
        "its positive prompt goes through ControlNetApplyAdvanced (node control)",
    ),
    "FreeU": (
        graph(sampling=sampling(model=["freeu", 0]), freeu=node("FreeU_V2", b1=1.3, model=["base", 0])),
        "its model goes through FreeU_V2 (node freeu)",
    ),
    "a picture to start from": (
        graph(sampling=sampling(denoise=0.6), latent=node("VAEEncode", pixels=["photo", 0], vae=["base", 2]),
              photo=node("LoadImage", image="a.png")),
        "it was drawn from another picture, through VAEEncode (node latent)",
    ),
    "two passes": (
        graph(
            sampling=sampling(denoise=0.5, latent_image=["larger", 0]),
            larger=node("LatentUpscale", samples=["first", 0], width=1024, height=1536), first=sampling(),
        ),
        "it was drawn in several passes, through LatentUpscale (node larger)",
    ),
    "upscaling": (
        graph(saved=node("SaveImage", images=["up", 0]), up=node("ImageUpscaleWithModel", image=["decoded", 0])),
        "after sampling it went through ImageUpscaleWithModel (node up)",
    ),
    "a batch": (
        graph(latent=node("EmptyLatentImage", width=512, height=768, batch_size=4)),
        "it was drawn in a batch of 4, and nobody can tell which of them it is",
    ),
    "some of the steps": (
        graph(sampling=KSAMPLER_ADVANCED | {"inputs": KSAMPLER_ADVANCED["inputs"] | {"end_at_step": 15}}),
        "KSamplerAdvanced (node sampling) takes only the steps from 0 to 15",
    ),
    "no noise": (
        graph(sampling=KSAMPLER_ADVANCED | {"inputs": KSAMPLER_ADVANCED["inputs"] | {"add_noise": "disable"}}),
        "KSamplerAdvanced (node sampling) adds no noise",
    ),
    "two texts for SDXL": (
        graph(positive=node("CLIPTextEncodeSDXL", width=512, height=768, crop_w=0, crop_h=0, target_width=512,
                            target_height=768, text_g="a red apple", text_l="a photo", clip=["base", 1])),
        "CLIPTextEncodeSDXL (node positive) gives its two text encoders different texts",
    ),
    "another size for SDXL": (
        graph(positive=node("CLIPTextEncodeSDXL", width=4096, height=4096, crop_w=0, crop_h=0, target_width=4096,
                            target_height=4096, text_g="a red apple", text_l="a red apple", clip=["base", 1])),
        "CLIPTextEncodeSDXL (node positive) states another size than the picture's",
    ),
    "an embedding": (
        graph(positive=node("CLIPTextEncode", text="a red apple, (embedding:easy:1.1)", clip=["base", 1])),
        "its prompt has the embedding 'easy'",
    ),
    "a text encoder of its own": (
        graph(positive=node("CLIPTextEncode", text="a red apple", clip=["other", 0]),
              other=node("CLIPLoader", clip_name="clip_l.safetensors")),
        "its text encoder comes through CLIPLoader (node other)",
    ),
    "another node's sampling": (
        graph(sampling=node("KSampler (Efficient)", **graph()["sampling"]["inputs"])),
        "it was sampled by KSampler (Efficient) (node sampling), which sid does not know",
    ),
    "a computed value": (
        graph(sampling=sampling(steps=["sum", 0]), sum=node("MathExpression", expression="a + 1", a=["x", 0]),
              x=node("PrimitiveInt", value=3)),
        "the 'steps' of KSampler (node sampling) comes from MathExpression (node sum)",
    ),
    "a schedule of its own": (
        graph(
            sampling=node("SamplerCustom", add_noise=True, noise_seed=3, cfg=8, model=["base", 0],
                          positive=["positive", 0], negative=["negative", 0], sampler=["select", 0],
                          sigmas=["sigmas", 0], latent_image=["latent", 0]),
            select=SELECTED, sigmas=node("AlignYourStepsScheduler", model_type="SD1", steps=10, denoise=1),
        ),
        "its noise schedule comes from AlignYourStepsScheduler (node sigmas)",
    ),
    "the schedule beta": (graph(sampling=sampling(scheduler="beta")), "its noise schedule is ComfyUI's beta"),
    "two pictures": (
        graph(second=sampling(seed=5), saved_too=node("SaveImage", images=["decoded_too", 0]),
              decoded_too=node("VAEDecode", samples=["second", 0], vae=["base", 2])),
        "its graph samples pictures in 2 places",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("nodes", "reason"), NAMED.values(), ids=NAMED)
def test_what_cannot_be_redrawn_is_named_and_the_rest_is_read(
    tmp_path: Path, nodes: Graph, reason: str
) -> None:
    found = read(tmp_path, nodes)
    assert any(reason in refusal for refusal in found.refusals), found.refusals
    assert "a red apple" in found.prompt and found.negative_prompt == "lowres"
    assert found.fields["Sampler"] == "DPM++ 2M"


def test_only_the_pages_workflow_is_read_where_nothing_else_is(tmp_path: Path) -> None:
    links = [
        [1, 4, 0, 3, 0, "MODEL"], [2, 6, 0, 3, 1, "CONDITIONING"], [3, 7, 0, 3, 2, "CONDITIONING"],
        [4, 5, 0, 3, 3, "LATENT"], [5, 4, 1, 6, 0, "CLIP"], [6, 4, 1, 7, 0, "CLIP"], [7, 9, 0, 3, 4, "INT"],
    ]  # fmt: skip

    def placed(id_: int, kind: str, values: list[Any], mode: int = 0, **inputs: int) -> dict[str, Any]:
        given = [{"name": name, "type": "*", "link": link} for name, link in inputs.items()]
        return {"id": id_, "type": kind, "mode": mode, "inputs": given, "widgets_values": values}

    nodes = [
        placed(3, "KSampler", [5, "randomize", 20, 8, "dpmpp_2m", "karras", 1], model=1, positive=2, negative=3,
               latent_image=4, seed=7),
        placed(4, "CheckpointLoaderSimple", ["dreamshaper_8.safetensors"]),
        placed(5, "EmptyLatentImage", [512, 768, 1]),
        placed(6, "CLIPTextEncode", ["a red apple"], clip=5),
        placed(7, "CLIPTextEncode", ["lowres"], clip=6),
        placed(8, "KSampler", [9, "fixed", 3, 1, "euler", "normal", 1], mode=2),
        placed(9, "PrimitiveNode", [1102676403634909, "fixed"]),
    ]  # fmt: skip
    for name in ("workflow", "parameters"):
        path = png(tmp_path / "a.png", **{name: {"nodes": nodes, "links": links, "version": 0.4}})
        assert of_picture.read(path).parameters == Infotext("a red apple", "lowres", EXPECTED, "ComfyUI")


def test_a_graph_that_nobody_can_read_is_there_as_it_is(tmp_path: Path) -> None:
    for content in ('{"3": {"class_type": ', "[" * 3000, '{"1": {"class_type": "LoadImage", "inputs": {}}}'):
        found = of_picture.read(png(tmp_path / "a.png", prompt=content))
        assert found.parameters is None and found.texts == {"prompt": content}
        assert found.why_not().isprintable()


def test_graphs_that_lead_in_circles_or_double_are_read(tmp_path: Path) -> None:
    circle = graph(
        sampling=sampling(model=["lora", 0], positive=["combined", 0], latent_image=["sampling", 0], seed=["again", 0]),
        lora=node("LoraLoader", lora_name="a", strength_model=1, strength_clip=1, model=["lora", 0], clip=["lora", 1]),
        combined=node("ConditioningCombine", conditioning_1=["combined", 0], conditioning_2=["combined", 0]),
        again=node("Reroute", value=["again", 0]),
    )  # fmt: skip
    assert read(tmp_path, circle).refusals
    doubling = graph(positive=node("CLIPTextEncode", text=["join 0", 0], clip=["base", 1]))
    for number in range(60):
        source = [f"join {number + 1}", 0]
        doubling[f"join {number}"] = node("StringConcatenate", string_a=source, string_b=source, delimiter="")
    assert "comes from StringConcatenate" in read(tmp_path, doubling).refusals[0]
    many = graph() | {f"extra {number}": node("Note", text="x") for number in range(6000)}
    found = of_picture.read(png(tmp_path / "a.png", prompt=many))
    assert found.parameters is None and "6,007 nodes, 5,000 at most are read" in found.why_not()


def test_a_text_of_another_form_is_no_graph() -> None:
    for value in (None, 5, "x", [], {}, {"1": 5}, {"1": {"class_type": 5}}):
        assert of_prompt(value) is None
