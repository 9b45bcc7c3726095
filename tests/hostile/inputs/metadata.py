"""What other tools write into pictures, with values that none of them writes."""

import gzip
import io
import json
import struct
import zlib
from collections.abc import Callable, Iterator

from PIL import Image

from tests.hostile.case import HERE, Case, drawn, file
from tests.hostile.inputs.pictures import chunk, png, text

_RAW = "\x1b[31mred\x07\x9b\u202e\n"
_SAMPLING = {
    "class_type": "KSampler",
    "inputs": {
        "seed": 1, "steps": 2, "cfg": 3, "sampler_name": "ddim", "scheduler": "karras", "denoise": 1, "model": ["2", 0],
        "positive": ["3", 0], "negative": ["3", 0], "latent_image": ["4", 0],
    },
}  # fmt: skip
_BASE = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "papertown"}}
_TEXT = {"class_type": "CLIPTextEncode", "inputs": {"text": "hat", "clip": ["2", 1]}}
_LATENT = {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}}


def _graph(**nodes: object) -> str:
    first = {"1": _SAMPLING, "2": _BASE, "3": _TEXT, "4": _LATENT}
    return json.dumps(first | {key.removeprefix("n"): value for key, value in nodes.items()})


def _sampling(**inputs: object) -> dict[str, object]:
    return {"class_type": "KSampler", "inputs": _SAMPLING["inputs"] | inputs}


def _chain(count: int) -> dict[str, object]:
    """Nodes that double a text each time they are joined."""
    link = {f"n{number}": {"class_type": "StringConcatenate", "inputs": {
        "string_a": [str(number + 1), 0], "string_b": [str(number + 1), 0], "delimiter": "x" * 1000}}
        for number in range(10, 10 + count)}  # fmt: skip
    return link | {"n3": {"class_type": "CLIPTextEncode", "inputs": {"text": ["10", 0], "clip": ["2", 1]}}}


TEXTS: dict[str, tuple[str, str]] = {
    "a graph without an end": ("prompt", '{"1": {"class_type": "KSampler", "inputs": {'),
    "a graph of raw texts": ("prompt", _graph(n3={"class_type": _RAW, "inputs": {"text": _RAW}})),
    "a graph whose seed is a list": ("prompt", _graph(n1=_sampling(seed=[1, 2, 3]))),
    "a graph whose steps are raw": ("prompt", _graph(n1=_sampling(steps=_RAW))),
    "a graph of 500 digits": ("prompt", _graph(n1=_sampling(cfg="9" * 500))),
    "a graph whose size is huge": ("prompt", _graph(n4={**_LATENT, "inputs": {"width": 10**9, "height": 10**9}})),
    "a graph in a circle": ("prompt", _graph(n1=_sampling(model=["1", 0], positive=["1", 0], seed=["1", 0]))),
    "a graph that doubles a text": ("prompt", _graph(**_chain(60))),
    "a graph of 40,000 nodes": ("prompt", json.dumps({str(number): _SAMPLING for number in range(40_000)})),
    "a graph with a LoRA of a raw name": ("prompt", _graph(
        n1=_sampling(model=["9", 0]), n9={"class_type": "LoraLoader", "inputs": {
            "lora_name": _RAW + ":1>", "strength_model": "nan", "strength_clip": 1e300, "model": ["2", 0]}})),
    "a workflow of other types": ("workflow", '{"nodes": [5, {"type": "KSampler", "inputs": 3}], "links": {"a": 1}}'),
    "a workflow nested deep": ("workflow", '{"nodes": ' + "[" * 5000 + "]" * 5000 + "}"),
    "SwarmUI of other types": ("parameters", '{"sui_image_params": {"loras": {}, "seed": [], "prompt": 5}}'),
    "SwarmUI of raw texts": ("parameters", json.dumps({"sui_image_params": {"prompt": _RAW, _RAW: _RAW}})),
    "SwarmUI of 100,000 LoRAs": ("parameters", json.dumps({"sui_image_params": {"prompt": "hat", "loras": ",".join(
        f"lora {number}" for number in range(100_000))}})),
    "Fooocus of other types": ("parameters", '{"prompt": "hat", "base_model": 5, "full_prompt": {"a": 1}, "loras": 3}'),
    "InvokeAI of other types": ("invokeai_metadata", '{"loras": [5, {"model": []}], "model": 3, "clip_skip": 1e99}'),
    "InvokeAI of a list": ("invokeai_metadata", "[1, 2]"),
    "an InvokeAI command of quotes": ("Dream", '"' * 90_000 + " -s -S -C " + "[" * 90_000),
    "an InvokeAI prompt of brackets": ("sd-metadata", json.dumps({"image": {"prompt": "[" * 90_000 + "]" * 90_000}})),
    "NovelAI of no JSON": ("Comment", '{"uc": }'),
    "NovelAI of other types": ("Comment", '{"uc": [], "v4_prompt": {"caption": {"char_captions": [5]}}, "seed": {}}'),
    "Easy Diffusion of other types": ("parameters", '{"prompt": [], "num_inference_steps": {}, "use_lora_model": {}}'),
    "Draw Things in endless XMP": ("XML:com.adobe.xmp", "<exif:UserComment>" * 90_000),
    "brackets of fields": ("parameters", "hat\nSteps: 2, Sampler: DDIM, " + "Key: [{" * 60_000),
    "a line of many firsts": ("parameters", "Steps: 1, Sampler" * 30_000),
    "many lines of fields": ("parameters", "hat\nSteps: 2\n" + "Key: 1\n" * 90_000),
    "raw texts of nobody": (_RAW[1:6], _RAW * 3000),
}  # fmt: skip


def _with_comment(payload: bytes, tag: int = 0x9286, count: int | None = None) -> Callable[[], bytes]:
    def made() -> bytes:
        size = len(payload) if count is None else count
        entry = struct.pack("<HHHII", 1, tag, 7, size, 26) + bytes(4)
        buffer = io.BytesIO()
        block = b"Exif\0\0II*\0" + struct.pack("<I", 8) + entry + payload
        Image.new("RGB", (128, 128)).save(buffer, "WEBP", exif=block)
        return buffer.getvalue()

    return made


def _hidden(length: int, content: bytes) -> bytes:
    """Return a picture in whose alpha a text of this length in bits is said to be hidden."""
    data = b"stealth_pngcomp" + struct.pack(">I", length) + content
    bits = [byte >> shift & 1 for byte in data for shift in range(7, -1, -1)]
    width, height = 512, -(-len(bits) // 512)
    columns = bits + [0] * (width * height - len(bits))
    alpha = Image.new("L", (width, height))
    alpha.putdata([254 | columns[x * height + y] for y in range(height) for x in range(width)])
    made = Image.new("RGBA", (width, height))
    made.putalpha(alpha)
    buffer = io.BytesIO()
    made.save(buffer, "PNG")
    return buffer.getvalue()


def _bomb() -> bytes:
    return gzip.compress(gzip.compress(bytes(2**26)) + bytes(2**26))


FILES: dict[str, Callable[[], bytes]] = {
    "a comment of two bytes": _with_comment(b"UNICODE\0\xd8"),
    "a comment of half letters": _with_comment(b"UNICODE\0" + b"\xd8\x3d" * 4000),
    "a comment of zeros": _with_comment(bytes(5000)),
    "a comment of 2 GiB": _with_comment(b"UNICODE\0", count=2**31 - 1),
    "a comment of raw letters": _with_comment(b"ASCII\0\0\0" + _RAW.encode()),
    "a comment of 4 MB": _with_comment(b"UNICODE\0" + "\u4e00".encode("utf-16-be") * 2_000_000),
    "a camera's note of raw letters": _with_comment(_RAW.encode() * 500, tag=0x927C),
    "hidden text that unpacks to 64 MiB": lambda: _hidden(len(_bomb()) * 8, _bomb()),
    "hidden text of no gzip": lambda: _hidden(8 * 900, b"nothing" * 200),
    "hidden text of 512 MiB": lambda: _hidden(2**32 - 1, b"x" * 200),
    "hidden text of no bytes": lambda: _hidden(0, b"x" * 200),
    "hidden text of raw letters": lambda: _hidden(8 * 4096, gzip.compress(_RAW.encode() * 9)),
    "a packed text that is cut": lambda: png(
        chunk(b"zTXt", b"parameters\0\0" + zlib.compress(b"x" * 900)[:9])
    ),
    "a packed text of 900 kB": lambda: png(chunk(b"zTXt", b"prompt\0\0" + zlib.compress(b"[" * 900_000))),
}


def cases() -> Iterator[Case]:
    """Yield the cases of this door."""
    rng = drawn("metadata")
    verbs = {
        "show": ("show", f"{HERE}/p.png"),
        "show --json": ("show", f"{HERE}/p.png", "--json"),
        "redraw": ("redraw", f"{HERE}/p.png"),
    }
    for title, (key, content) in TEXTS.items():
        verb = rng.choice(sorted(verbs))
        yield Case("other tools", f"{title}, {verb}", verbs[verb], file("p.png", png(text(key, content))))
    for title, make in FILES.items():
        verb = rng.choice(sorted(verbs))
        yield Case("other tools", f"{title}, {verb}", verbs[verb], _made(make))


def _made(make: Callable[[], bytes]):
    return lambda here: file("p.png", make())(here)
