"""LoRA files, embeddings, checkpoints and their configurations, with headers that no tool writes."""

# ruff: noqa: E501  (a file's content is easier to read on one line)

import json
import struct
from collections.abc import Iterator
from typing import Any

from tests.hostile.case import HERE, PROJECT, Case, Prepare, all_of, drawn, file
from tests.hostile.inputs.arguments import ORIGINAL
from tests.hostile.inputs.prompts import _recipe

_STEM = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"


def safetensors(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    """Return a .safetensors file: the header as text or as what JSON writes, and the tensors' bytes."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entries(shapes: dict[str, tuple[list[int], int]], dtype: str = "F32") -> tuple[dict[str, Any], bytes]:
    """Return a right header and zeros for tensors of these shapes and numbers of bytes."""
    header, start = {}, 0
    for name, (shape, size) in shapes.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, start + size]}
        start += size
    return header, bytes(start)


def lora(changes: dict[str, Any] | None = None, metadata: dict[str, Any] | None = None) -> bytes:
    """Return a small LoRA in kohya's format, with other entries in its header."""
    header, data = entries(
        {
            f"{_STEM}.lora_down.weight": ([2, 8], 64),
            f"{_STEM}.lora_up.weight": ([8, 2], 64),
            f"{_STEM}.alpha": ([], 4),
        }
    )
    if metadata is not None:
        header["__metadata__"] = metadata
    return safetensors({**header, **(changes or {})}, data)


def _shaped(shapes: dict[str, tuple[list[int], int]]) -> bytes:
    return safetensors(*entries({f"{_STEM}.{part}": what for part, what in shapes.items()}))


HEADERS: dict[str, bytes] = {
    "no bytes": b"",
    "seven bytes": b"1234567",
    "a length of 2**63": safetensors({}, length=2**63),
    "a length of 0": safetensors({}, length=0),
    "a length beyond the end": safetensors({}, length=900),
    "no JSON": safetensors(b"{" * 40),
    "a list": safetensors([]),
    "a number": safetensors(5),
    "nothing": safetensors(None),
    "no UTF-8": safetensors(b'{"\xff": 1}'),
    "an empty object": safetensors({}),
    "nested deep": safetensors(b"[" * 100_000),
    "objects nested deep": safetensors(b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
    "an entry of a number": safetensors({"a": 5}),
    "an entry of a list": safetensors({"a": []}),
    "an entry without offsets": safetensors({"a": {"dtype": "F32", "shape": [1]}}),
    "offsets of text": safetensors({"a": {"dtype": "F32", "shape": [1], "data_offsets": "ab"}}),
    "offsets below 0": safetensors({"a": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}}),
    "offsets turned": safetensors({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}, bytes(4)),
    "offsets of nan": safetensors(
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [NaN, 4]}}', bytes(4)
    ),
    "offsets of 400 digits": safetensors({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 10**400]}}),
    "offsets of 6,000 digits": safetensors(
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, ' + b"9" * 6000 + b"]}}"
    ),
    "an unknown type": safetensors({"a": {"dtype": "X9", "shape": [1], "data_offsets": [0, 4]}}, bytes(4)),
    "a shape of text": safetensors({"a": {"dtype": "F32", "shape": "ab", "data_offsets": [0, 4]}}, bytes(4)),
    "a shape below 0": safetensors({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, bytes(4)),
    "a shape of 2**62": safetensors(
        {"a": {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 4]}}, bytes(4)
    ),
    "a key twice": safetensors(
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}',
        bytes(4),
    ),
    "metadata of a list": safetensors({"__metadata__": []}),
    "metadata of numbers": safetensors({"__metadata__": {"a": 1}}),
    "a raw name": safetensors(*entries({"\x1b[31m\n\u202e": ([1], 4)})),
    "a name of 30,000": safetensors(*entries({"n" * 30_000: ([1], 4)})),
    "a pickle": b"\x80\x04\x95\x10\0\0\0\0\0\0\0}\x94.",
    "an archive": b"PK\x03\x04" + bytes(99),
    "bytes too many": safetensors(*entries({"a": ([1], 4)})) + bytes(99),
    "the middle is missing": safetensors(
        {
            "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
            "b": {"dtype": "F32", "shape": [1], "data_offsets": [9, 13]},
        },
        bytes(13),
    ),
    "30,000 tensors": safetensors(*entries({f"t{number}": ([1], 4) for number in range(30_000)})),
}

LORAS: dict[str, bytes] = {
    "alpha alone": _shaped({"alpha": ([], 4)}),
    "down alone": _shaped({"lora_down.weight": ([2, 8], 64)}),
    "a down of no dimension": _shaped({"lora_down.weight": ([], 4), "lora_up.weight": ([8, 2], 64)}),
    "a rank of 0": _shaped({"lora_down.weight": ([0, 8], 0), "lora_up.weight": ([8, 0], 0)}),
    "ranks that differ": _shaped({"lora_down.weight": ([2, 8], 64), "lora_up.weight": ([8, 4], 128)}),
    "six dimensions": _shaped({"lora_down.weight": ([1] * 6, 4), "lora_up.weight": ([1] * 6, 4)}),
    "an alpha of four": _shaped(
        {"lora_down.weight": ([2, 8], 64), "lora_up.weight": ([8, 2], 64), "alpha": ([4], 16)}
    ),
    "a raw module": lora(
        {"lora_unet_\x1b[31m\n.alpha": {"dtype": "F32", "shape": [1], "data_offsets": [128, 132]}}
    ),
    "raw metadata": lora(metadata={"ss_output_name": "\x1b[31mred\x07\nx\u202e", "\x1b]0;k\x07": "v"}),
    "2,000 keys of metadata": lora(metadata={f"key {number}": "v" * 90 for number in range(2000)}),
    "a hash of metadata": lora(metadata={"sshs_model_hash": "\x1b"}),
    "metadata of 3 MB": lora(metadata={"ss_tag_frequency": "x" * 3_000_000}),
    "network args of text": lora(metadata={"ss_network_args": "{{{", "ss_network_dim": "many"}),
    "DoRA": _shaped(
        {"lora_down.weight": ([2, 8], 64), "lora_up.weight": ([8, 2], 64), "dora_scale": ([8, 1], 32)}
    ),
    "an unknown part": _shaped({"evil.weight": ([2, 8], 64)}),
    "LoHa without a half": _shaped({"hada_w1_a": ([8, 2], 64), "hada_w1_b": ([2, 8], 64)}),
    "LoHa of ranks that multiply": _shaped(
        {
            "hada_w1_a": ([64, 900], 230_400),
            "hada_w1_b": ([900, 64], 230_400),
            "hada_w2_a": ([64, 900], 230_400),
            "hada_w2_b": ([900, 64], 230_400),
        }
    ),
    "LoKr that multiplies out": _shaped({"lokr_w1": ([400, 400], 640_000), "lokr_w2": ([400, 400], 640_000)}),
    "LoKr of no dimension": _shaped({"lokr_w1": ([], 4), "lokr_w2": ([], 4)}),
    "LoKr of five dimensions": _shaped({"lokr_w1": ([1] * 5, 4), "lokr_w2": ([2, 2], 16)}),
    "a middle of text": _shaped(
        {"lora_mid.weight": ([2, 2], 16), "lora_down.weight": ([2, 8], 64), "lora_up.weight": ([8, 2], 64)}
    ),
    "a LoRA of FLUX": safetensors(
        *entries({"lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight": ([2, 8], 64)})
    ),
    "of integers": safetensors(
        *entries(
            {f"{_STEM}.lora_down.weight": ([2, 8], 128), f"{_STEM}.lora_up.weight": ([8, 2], 128)}, "I64"
        )
    ),
    "of booleans": safetensors(
        *entries({f"{_STEM}.lora_down.weight": ([2, 8], 16), f"{_STEM}.lora_up.weight": ([8, 2], 16)}, "BOOL")
    ),
    "of 8-bit numbers": safetensors(
        *entries(
            {f"{_STEM}.lora_down.weight": ([2, 8], 16), f"{_STEM}.lora_up.weight": ([8, 2], 16)}, "F8_E4M3"
        )
    ),
    "of NaN": safetensors(
        entries({f"{_STEM}.lora_down.weight": ([2, 8], 64), f"{_STEM}.lora_up.weight": ([8, 2], 64)})[0],
        b"\xff" * 128,
    ),
    "20,000 modules": safetensors(*entries({f"{_STEM}_{number}.alpha": ([], 4) for number in range(20_000)})),
}

_PEFT = safetensors(
    *entries(
        {
            "base_model.model.unet.mid_block.attentions.0.proj_in.lora_A.weight": ([2, 8], 64),
            "base_model.model.unet.mid_block.attentions.0.proj_in.lora_B.weight": ([8, 2], 64),
        }
    )
)
_PLAIN_PEFT = safetensors(
    *entries(
        {
            "base_model.model.mid_block.attentions.0.transformer_blocks.0.attn1.to_q.lora_A.weight": (
                [2, 8],
                64,
            ),
            "base_model.model.mid_block.attentions.0.transformer_blocks.0.attn1.to_q.lora_B.weight": (
                [8, 2],
                64,
            ),
        }
    )
)
_DIFFUSERS = {
    "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q.lora_A.weight": ([2, 8], 64),
    "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q.lora_B.weight": ([8, 2], 64),
}
CONFIGS: dict[str, str | bytes] = {
    "empty": "",
    "no JSON": "{",
    "no UTF-8": b"\xff\xfe",
    "a list": "[]",
    "a number": "5",
    "nothing": "null",
    "nested deep": "[" * 100_000,
    "of zeros": b"\0" * 99,
    "NaN": '{"lora_alpha": NaN}',
    "an alpha of text": '{"lora_alpha": "\\u001b[31m"}',
    "an alpha of a list": '{"lora_alpha": [1]}',
    "an alpha of 400 digits": '{"lora_alpha": 1' + "0" * 400 + "}",
    "an alpha of 6,000 digits": '{"lora_alpha": ' + "9" * 6000 + "}",
    "an alpha of infinity": '{"lora_alpha": Infinity}',
    "patterns of a list": '{"alpha_pattern": [1]}',
    "patterns of text": '{"alpha_pattern": "to_q"}',
    "a pattern that is none": '{"alpha_pattern": {"(": 1}}',
    "a pattern that takes long": '{"alpha_pattern": {"(([a-z0-9_]+)+[.]?)+!": 1}}',
    "a pattern of 90,000": '{"alpha_pattern": {"' + "(a|b)?" * 15_000 + '": 1}}',
    "a pattern's value of text": '{"alpha_pattern": {".*": "x"}}',
    "rslora of text": '{"lora_alpha": 2, "use_rslora": "yes"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "6 MB": '{"x": "' + "x" * 6_000_000 + '"}',
}

_SD1 = {
    "model.diffusion_model.input_blocks.0.0.weight": ([4, 4, 3, 3], 576),
    "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight": ([4, 8], 128),
    "first_stage_model.decoder.conv_in.weight": ([4, 4, 3, 3], 576),
}
CHECKPOINTS: dict[str, bytes] = {
    "of few tensors": safetensors(*entries(_SD1)),
    "with odd metadata": safetensors(
        {**entries(_SD1)[0], "__metadata__": {"modelspec.prediction_type": "\x1b[31m"}}, entries(_SD1)[1]
    ),
    "metadata of a list": safetensors({**entries(_SD1)[0], "__metadata__": [1]}, entries(_SD1)[1]),
    "metadata of text": safetensors({**entries(_SD1)[0], "__metadata__": "x"}, entries(_SD1)[1]),
    "a shape of text": safetensors(
        {
            "model.diffusion_model.input_blocks.0.0.weight": {
                "dtype": "F32",
                "shape": "wide",
                "data_offsets": [0, 4],
            }
        },
        bytes(4),
    ),
    "a shape of nothing": safetensors(
        {
            "model.diffusion_model.input_blocks.0.0.weight": {
                "dtype": "F32",
                "shape": None,
                "data_offsets": [0, 4],
            }
        },
        bytes(4),
    ),
    "a shape of objects": safetensors(
        {"a": {"dtype": "F32", "shape": [{}], "data_offsets": [0, 4]}}, bytes(4)
    ),
    "a LoRA": lora(),
    "FLUX": safetensors(*entries({"double_blocks.0.img_attn.qkv.weight": ([1], 4)})),
}

_INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "scheduler": ["diffusers", "DDIMScheduler"],
}
FOLDERS: dict[str, dict[str, str | bytes]] = {
    "empty": {"model_index.json": ""},
    "no JSON": {"model_index.json": "{"},
    "a list": {"model_index.json": "[]"},
    "a number": {"model_index.json": "5"},
    "nothing": {"model_index.json": "null"},
    "no UTF-8": {"model_index.json": b"\xff"},
    "nested deep": {"model_index.json": "[" * 100_000},
    "a class of a list": {"model_index.json": '{"_class_name": [1]}'},
    "a raw class": {"model_index.json": '{"_class_name": "\\u001b[31m\\n"}'},
    "a long class": {"model_index.json": '{"_class_name": "' + "c" * 9000 + '"}'},
    "an index alone": {"model_index.json": json.dumps(_INDEX)},
    "a part of a number": {"model_index.json": json.dumps({**_INDEX, "unet": 5})},
    "a part of one": {"model_index.json": json.dumps({**_INDEX, "text_encoder": ["x"]})},
    "a UNet of a list": {"model_index.json": json.dumps(_INDEX), "unet/config.json": "[]"},
    "a UNet of text": {
        "model_index.json": json.dumps(_INDEX),
        "unet/config.json": '{"cross_attention_dim": "wide", "block_out_channels": 5, "sample_size": []}',
    },
    "a UNet of NaN": {
        "model_index.json": json.dumps(_INDEX),
        "unet/config.json": '{"cross_attention_dim": NaN, "sample_size": 64, "in_channels": 4}',
        "vae/config.json": '{"block_out_channels": 5}',
    },
    "a VAE of text": {
        "model_index.json": json.dumps(_INDEX),
        "unet/config.json": '{"cross_attention_dim": 768, "sample_size": 64, "in_channels": 4}',
        "vae/config.json": '{"block_out_channels": "abc"}',
        "scheduler/scheduler_config.json": "[]",
    },
    "a huge UNet": {
        "model_index.json": json.dumps(_INDEX),
        "unet/config.json": '{"cross_attention_dim": 768, "sample_size": 99999999999, "in_channels": 4}',
        "vae/config.json": '{"block_out_channels": [1,2,3,4]}',
    },
    "a vocabulary of a list": {
        "model_index.json": json.dumps(_INDEX),
        "unet/config.json": '{"cross_attention_dim": 768, "sample_size": 64, "in_channels": 4}',
        "vae/config.json": '{"block_out_channels": [1,2,3,4]}',
        "tokenizer/vocab.json": "[]",
        "tokenizer/merges.txt": b"\xff",
    },
    "a scheduler of text": {
        "model_index.json": json.dumps(_INDEX),
        "unet/config.json": '{"cross_attention_dim": 768, "sample_size": 64, "in_channels": 4}',
        "scheduler/scheduler_config.json": '{"prediction_type": [1]}',
    },
}


def cases() -> Iterator[Case]:
    """Yield the cases of this door."""
    rng = drawn("tensors")
    inspect, base = (
        ("lora", "inspect", f"{HERE}/x.safetensors"),
        ("new", "fresh", "--image", ORIGINAL, "--caption", "hat", "--base"),
    )
    verbs = {
        "inspect": inspect,
        "convert": ("lora", "convert", f"{HERE}/x.safetensors", f"{HERE}/y.safetensors", "--to", "diffusers"),
        "resize": ("lora", "resize", f"{HERE}/x.safetensors", f"{HERE}/y.safetensors", "--rank", "1"),
        "plan": ("plan", PROJECT),
    }
    for title, content in {**HEADERS, **LORAS}.items():
        for verb in rng.sample(sorted(verbs), 1 if title in HEADERS else 2):
            place = f"workspace/projects/{PROJECT}/loras/x.safetensors" if verb == "plan" else "x.safetensors"
            named = _recipe("<lora:x:1>", "tags") if verb == "plan" else (lambda here: None)
            yield Case("LoRA files", f"{title}, {verb}", verbs[verb], all_of(file(place, content), named))
    for title, content in CONFIGS.items():
        yield Case(
            "adapter configs",
            f"{title}, inspect",
            inspect,
            all_of(file("x.safetensors", _PLAIN_PEFT), file("adapter_config.json", content)),
        )
    for title in rng.sample(sorted(CONFIGS), 8):
        config = CONFIGS[title] if isinstance(CONFIGS[title], str) else "x"
        header, data = entries(_DIFFUSERS)
        metadata = {"__metadata__": {"lora_adapter_metadata": config}}
        yield Case(
            "adapter configs",
            f"{title}, in the file",
            verbs["convert"],
            file("x.safetensors", safetensors({**header, **metadata}, data)),
        )
    for title in rng.sample(sorted(HEADERS), 12):
        yield Case(
            "embeddings",
            f"{title}, plan",
            verbs["plan"],
            all_of(
                file("workspace/embeddings/red hat.safetensors", HEADERS[title]), _recipe("red hat", "tags")
            ),
        )
    for title, shapes in {
        "of three dimensions": ([2, 3, 4], 96),
        "of no dimension": ([], 4),
        "of no vector": ([0, 32], 0),
        "30,000 vectors": ([30_000, 32], 3_840_000),
        "of another width": ([1, 31], 124),
    }.items():
        yield Case(
            "embeddings",
            f"{title}, plan",
            verbs["plan"],
            all_of(
                file(
                    "workspace/embeddings/red hat.safetensors", safetensors(*entries({"emb_params": shapes}))
                ),
                _recipe("red hat", "tags"),
            ),
        )
    for title, content in {**HEADERS, **CHECKPOINTS}.items():
        if title in CHECKPOINTS or rng.random() < 0.6:
            yield Case(
                "checkpoints",
                f"{title}, new",
                (*base, f"{HERE}/m.safetensors"),
                file("m.safetensors", content),
            )
    for title, content in rng.sample(sorted(CHECKPOINTS.items()), 4):
        yield Case(
            "checkpoints",
            f"{title}, inspect --base",
            ("lora", "inspect", f"{HERE}/x.safetensors", "--base", f"{HERE}/m.safetensors"),
            all_of(file("x.safetensors", lora()), file("m.safetensors", content)),
        )
    for title, files in FOLDERS.items():
        yield Case("model folders", f"{title}, new", (*base, f"{HERE}/model"), all_of(*_in_folder(files)))
    for title in rng.sample(sorted(FOLDERS), 5):
        yield Case(
            "model folders",
            f"{title}, inspect --base",
            ("lora", "inspect", f"{HERE}/x.safetensors", "--base", f"{HERE}/model"),
            all_of(file("x.safetensors", lora()), *_in_folder(FOLDERS[title])),
        )
    for title, table in {
        "empty": b"",
        "no columns": b"a,b\n1,2\n",
        "no UTF-8": b"name,category\n\xff,0\n",
        "a huge field": b"name,category\n" + b"x" * 200_000 + b",0\n",
        "raw": b"name,category\n\x1b[31m,0\n",
    }.items():
        yield Case(
            "taggers",
            f"a table {title}",
            ("tag", ORIGINAL, "--tagger", f"{HERE}/t/model.onnx"),
            all_of(file("t/model.onnx", b"\x08\x07nothing"), file("t/selected_tags.csv", table)),
        )


def _in_folder(files: dict[str, str | bytes]) -> list[Prepare]:
    return [file(f"model/{name}", content) for name, content in files.items()]
