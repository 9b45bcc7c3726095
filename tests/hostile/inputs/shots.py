"""How a picture says that it was drawn: infotext of any tool, and sid's own shot, with values that nobody writes."""

# ruff: noqa: E501  (a file's content is easier to read on one line)

import json
from collections.abc import Iterator
from typing import Any

from tests.hostile.case import HERE, Case, drawn, file
from tests.hostile.inputs.pictures import png, text

_GOOD = "woman, hat\nNegative prompt: blurry\nSteps: 2, Sampler: DDIM, CFG scale: 3, Seed: 1, Size: 64x64, Model: papertown"


def _but(**fields: str) -> str:
    """Return the infotext with other fields."""
    head, _, last = _GOOD.rpartition("\n")
    known = dict(part.split(": ", 1) for part in last.split(", "))
    known |= {key.replace("_", " "): value for key, value in fields.items()}
    return head + "\n" + ", ".join(f"{key}: {value}" for key, value in known.items())


INFOTEXTS: dict[str, str] = {
    "empty": "",
    "of blanks": "  \n \n",
    "steps 0": _but(Steps="0"),
    "steps -5": _but(Steps="-5"),
    "steps of 20 digits": _but(Steps="9" * 20),
    "steps of 6,000 digits": _but(Steps="9" * 6000),
    "steps of another script": _but(Steps="\u0663"),
    "a million steps": _but(Steps="1000000"),
    "size 0x0": _but(Size="0x0"),
    "a negative size": _but(Size="-64x-64"),
    "a huge size": _but(Size="999999x999999"),
    "a size of words": _but(Size="wide"),
    "an odd size": _but(Size="65x63"),
    "a size of three": _but(Size="64x64x64"),
    "cfg nan": _but(CFG_scale="nan"),
    "cfg inf": _but(CFG_scale="inf"),
    "cfg 1e300": _but(CFG_scale="1e300"),
    "cfg of words": _but(CFG_scale="high"),
    "a seed of words": _but(Seed="\x1b[31mred"),
    "a huge seed": _but(Seed="9" * 5000),
    "a negative seed": _but(Seed="-1"),
    "an unknown sampler": _but(Sampler="\x1b[31m" + "s" * 900),
    "clip skip 0": _but(Clip_skip="0"),
    "clip skip 99": _but(Clip_skip="99"),
    "clip skip -1": _but(Clip_skip="-1"),
    "a raw model": _but(Model="\x1b]0;title\x07"),
    "a hash of no hex": _but(Model_hash="zzzz", Model="x"),
    "an unknown schedule": _but(Schedule_type="\x07"),
    "ControlNet": _but(ControlNet_0='"Module: canny, Model: x"'),
    "ADetailer": _but(ADetailer_model="face.pt"),
    "ENSD": _but(ENSD="31337"),
    "tiling": _but(Tiling="True"),
    "a variation": _but(Variation_seed="5"),
    "img2img": _but(Denoising_strength="0.5"),
    "hires": _but(Denoising_strength="nan", Hires_upscale="1e9", Hires_upscaler="Lanczos"),
    "hires of no size": _but(Denoising_strength="0.5", Hires_resize="x", Hires_upscaler="Lanczos"),
    "hires of 0": _but(Denoising_strength="0", Hires_upscale="0", Hires_upscaler="Lanczos"),
    "hashes that are none": _but(Lora_hashes='"a: b: c, , :"'),
    "hashes without an end": _but(Lora_hashes='"a: b'),
    "TI hashes": _but(TI_hashes='"\x1b: 1"'),
    "a quoted field nested deep": _but(Extra='"' + "[" * 9000 + '"'),
    "40,000 fields": _GOOD + ", " + ", ".join(f"Key {number}: 1" for number in range(40_000)),
    "a line of 200,000 letters": "x" * 200_000 + "\n" + _GOOD,
    "100,000 lines": "tag,\n" * 100_000 + _GOOD,
    "a LoRA that is not": "hat <lora:none:1>\n" + _GOOD,
    "a LoRA with a raw name": "hat <lora:\x1b[31m:1>\n" + _GOOD,
    "a LoRA of strength nan": "hat <lora:none:nan>\n" + _GOOD,
    "a LoRA without a name": "hat <lora::>\n" + _GOOD,
    "3,000 LoRAs": "<lora:a:1>" * 3000 + "\n" + _GOOD,
    "brackets nested deep": "(" * 20_000 + "\n" + _GOOD,
    "2,000 BREAKs": "hat BREAK " * 2000 + "\n" + _GOOD,
    "2,000 ANDs": "hat AND " * 2000 + "cat\n" + _GOOD,
    "schedules nested deep": "[a:" * 5000 + "b" + ":0.5]" * 5000 + "\n" + _GOOD,
    "a ComfyUI graph": '{"3": {"class_type": "KSampler", "inputs": {"steps": "x"}}}',
    "one line": _GOOD.replace("\n", " "),
    "raw letters": "\x1b[31mred\x07\x9b\u202e\n" + _GOOD,
    "a byte order mark": "\ufeff" + _GOOD,
    "zeros": "\0" * 50 + _GOOD,
}

SHOT: dict[str, Any] = {
    "prompt": "woman, hat",
    "negative_prompt": "",
    "seed": 1,
    "steps": 2,
    "sampler": "DDIM",
    "cfg_scale": 3.0,
    "width": 64,
    "height": 64,
    "base_model": "papertown",
    "base_model_hash": "0" * 64,
    "loras": [],
    "clip_skip": 1,
    "start": None,
    "embeddings": [],
    "recipe": "vary",
    "eliminated": [],
    "added": [],
}
_USE = {
    "name": "a",
    "training_id": "t",
    "snapshot": 1,
    "strength": 1.0,
    "te_strength": None,
    "sha256": "",
    "source": "",
}


def _start(**values: object) -> dict[str, Any]:
    return {"denoising_strength": 0.5, "picture": None, "shot": None, "mask": None, **values}


def _nested(levels: int) -> dict[str, Any]:
    shot = SHOT
    for _ in range(levels):
        shot = {**SHOT, "start": _start(shot=shot)}
    return shot


CHANGES: dict[str, dict[str, Any]] = {
    "a prompt of numbers": {"prompt": 5},
    "a prompt of nothing": {"prompt": None},
    "a prompt of a list": {"prompt": ["a"]},
    "a raw prompt": {"prompt": "\x1b[31m\x07"},
    "a seed of text": {"seed": "one"},
    "a seed of true": {"seed": True},
    "a seed of 2**80": {"seed": 2**80},
    "a negative seed": {"seed": -1},
    "a seed of 1.5": {"seed": 1.5},
    "steps of 0": {"steps": 0},
    "steps of text": {"steps": "2"},
    "a million steps": {"steps": 10**6},
    "steps of a list": {"steps": []},
    "an unknown sampler": {"sampler": "\x1b[31m"},
    "a sampler of numbers": {"sampler": 7},
    "cfg of nan": {"cfg_scale": float("nan")},
    "cfg of text": {"cfg_scale": "x"},
    "a width of 0": {"width": 0},
    "a width of text": {"width": "wide"},
    "a huge size": {"width": 10**6, "height": 10**6},
    "a size of nothing": {"height": None},
    "LoRAs of a number": {"loras": 5},
    "LoRAs of numbers": {"loras": [5]},
    "a LoRA too many fields": {"loras": [{**_USE, "evil": 1}]},
    "a LoRA of text": {"loras": "abc"},
    "a LoRA of strength text": {"loras": [{**_USE, "strength": "much"}]},
    "a LoRA of strength nan": {"loras": [{**_USE, "strength": float("nan")}]},
    "a raw LoRA": {"loras": [{**_USE, "name": "\x1b[31m\n"}]},
    "3,000 LoRAs": {"loras": [_USE] * 3000},
    "a LoRA of a path": {"loras": [{**_USE, "source": "/dev/zero"}]},
    "clip skip of text": {"clip_skip": "x"},
    "clip skip of 99": {"clip_skip": 99},
    "a start of text": {"start": "x"},
    "a start of a list": {"start": [1]},
    "a start of strength text": {"start": _start(denoising_strength="x")},
    "a start from a path": {"start": _start(picture={"path": "/etc/passwd", "sha256": "0" * 64})},
    "a start from nobody's home": {
        "start": _start(picture={"path": "~nobody-of-that-name/x", "sha256": "0" * 64})
    },
    "a start from a long path": {"start": _start(picture={"path": "p" * 5000, "sha256": "0" * 64})},
    "a mask of text": {"start": _start(mask="x")},
    "a mask of a huge blur": {
        "start": _start(
            shot=SHOT, mask={"blur": 10**9, "box": [0, 0, 9, 9], "picture": None, "padding": None}
        )
    },
    "a box of text": {
        "start": _start(shot=SHOT, mask={"blur": 4, "box": "wide", "picture": None, "padding": None})
    },
    "a box of huge numbers": {
        "start": _start(
            shot=SHOT, mask={"blur": 4, "box": [0, 0, 10**9, 10**9], "picture": None, "padding": None}
        )
    },
    "embeddings of text": {"embeddings": "x"},
    "embeddings of numbers": {"embeddings": [1]},
    "eliminated of a number": {"eliminated": 5},
    "added of lists": {"added": [[1]]},
    "an unknown field": {"evil": 1},
    "a base model of a list": {"base_model": [1]},
    "a hash of a number": {"base_model_hash": 5},
    "a raw hash": {"base_model_hash": "\x1b"},
    "a base model in nobody's home": {"base_model": "~nobody-of-that-name/x.safetensors"},
    "a recipe of a list": {"recipe": [1]},
}
CHUNKS: dict[str, str] = {
    "no JSON": "{",
    "a list": "[]",
    "a number": "5",
    "nothing": "null",
    "a text": '"shot"',
    "an empty object": "{}",
    "NaN": "NaN",
    "nested deep": "[" * 100_000,
    "objects nested deep": '{"a":' * 50_000,
    "a number of 6,000 digits": '{"seed": ' + "9" * 6000 + "}",
    "half a letter": '{"prompt": "\\ud800"}',
    "8 MB": '{"prompt": "' + "x" * 8_000_000 + '"}',
    "a key twice": json.dumps(SHOT)[:-1] + ', "seed": "x"}',
    "zeros": "\0" * 100,
}


def cases() -> Iterator[Case]:
    """Yield the cases of this door."""
    rng = drawn("shots")
    verbs = {
        "show": ("show", f"{HERE}/p.png"),
        "show --json": ("show", f"{HERE}/p.png", "--json"),
        "redraw": ("redraw", f"{HERE}/p.png"),
    }
    # Nothing but a picture that it must refuse goes to redraw in the first list: drawing takes a second.
    for title, content in INFOTEXTS.items():
        verb = rng.choice(("show", "show --json", "redraw", "redraw"))
        yield Case(
            "infotext", f"{title}, {verb}", verbs[verb], file("p.png", png(text("parameters", content)))
        )
    for title, change in CHANGES.items():
        verb = rng.choice(("show", "redraw", "redraw"))
        yield Case("a PNG's shot", f"{title}, {verb}", verbs[verb], _chunk(json.dumps({**SHOT, **change})))
    for title, content in CHUNKS.items():
        yield Case("a PNG's shot", f"{title}, show", verbs["show"], _chunk(content))
    for levels in (30, 300):
        yield Case(
            "a PNG's shot", f"{levels} passes, redraw", verbs["redraw"], _chunk(json.dumps(_nested(levels)))
        )
    missing = rng.sample(sorted(SHOT), 4)
    for key in missing:
        rest = {name: value for name, value in SHOT.items() if name != key}
        yield Case("a PNG's shot", f"without {key}, show", verbs["show"], _chunk(json.dumps(rest)))


def _chunk(content: str):
    return file("p.png", png(text("parameters", _GOOD), text("sid", content)))
