"""Every door takes any damage of a valid file: it returns what it read, or refuses the file in one line.

Each door's own test of what it reads rightly is in the folder of its room. Here a valid file of each kind is damaged:
any part exchanged for another type, a number beyond all ranges, deep nesting, NaN, bytes that are no UTF-8, an end that
is missing.
"""

import copy
import json
import os
import sqlite3
import struct
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from making import add_published, make_project, open_catalog, scene
from making import shot as made_shot
from PIL import PngImagePlugin
from safetensors.numpy import save_file

from bootstrap.catalog import candidates, generations, published, sheets, trainings
from bootstrap.drawing import infotext, infotext_shot, sheet_file
from bootstrap.errors import UserError
from bootstrap.lora import formats, header, kohya
from bootstrap.models import specs
from bootstrap.pictures import drawn_tags, embedding, tagging
from bootstrap.project import projects
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Workspace
from bootstrap.prompting import choices, embeddings
from bootstrap.shots import Mask, PictureUse, Shot, Start
from bootstrap.training import record
from review_app import login_settings

Door = Callable[[bytes], object]  # given a file's content
MORE = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
_DEEP = "400 lists within each other"
_ODD = [
    None, True, 0, -1, 2**31, 2**64, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf"), "", "x", "\ud800",
    "a\nb\x1b[2J\u202e", "../../etc/passwd", "x" * 200_000, [], {}, [[]], {"": None}, [None] * 9, _DEEP,
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each node of a JSON value."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places(part, (*path, key))


@st.composite
def damaged(draw: st.DrawFn, value: Any) -> bytes:
    """A JSON text of `value` with one to three nodes exchanged, and sometimes its bytes damaged."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(places(value))))
        odd = copy.deepcopy(draw(st.sampled_from(_ODD)))
        if not path:
            value = odd
            continue
        parent = value
        for key in path[:-1]:
            parent = parent[key]
        if draw(st.integers(0, 4)) == 0 and isinstance(parent, dict):
            del parent[path[-1]]
        else:
            parent[path[-1]] = odd
    content = json.dumps(value).encode().replace(json.dumps(_DEEP).encode(), b"[" * 400 + b"]" * 400)
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return content[: draw(st.integers(0, len(content)))]
    if kind == 1:
        at = draw(st.integers(0, len(content)))
        return content[:at] + b"\xff\x00" + content[at:]
    return content


def holds(door: Callable[[], object]) -> None:
    """Check that a door returns, or refuses in one printable line."""
    try:
        door()
    except UserError as error:
        hidden = {unicodedata.category(sign) for sign in str(error)} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
        assert not hidden and 0 < len(str(error)) <= 500, str(error)
    except FileNotFoundError:
        pass  # the door's caller looks whether there is a file


SHOT = made_shot(
    3, embeddings=(), start=Start(0.5, None, made_shot(4), Mask(4, None, PictureUse("mask.png", "a" * 64), 8))
)  # fmt: skip
RECORD = {
    "training_id": "t" * 64, "settings": {"epochs": 4},
    "dataset": [{"picture": "a" * 64, "caption": "c", "repeats": 2}],
    "seen": [4], "epoch": 4, "steps": 8, "loss": 0.1, "is_last": True,
}  # fmt: skip
ADAPTER = {"lora_alpha": 8, "alpha_pattern": {"to_q": 4}, "use_rslora": False, "r": 4}


def lora(
    path: Path, prefix: str = "lora_unet_down_blocks_0_attentions_0_proj_in", metadata: Any = None
) -> bytes:
    down, up = (
        (".lora_down.weight", ".lora_up.weight")
        if "." not in prefix
        else (".lora_A.weight", ".lora_B.weight")
    )
    tensors = {f"{prefix}{down}": np.ones((2, 4), np.float32), f"{prefix}{up}": np.ones((4, 2), np.float32)}
    save_file(tensors, path, metadata or {"ss_output_name": "x"})
    return path.read_bytes()


@MORE
@given(st.data())
def test_headers_of_lora_files_and_checkpoints(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "a.safetensors"
    content = lora(path)
    length = struct.unpack("<Q", content[:8])[0]
    new = data.draw(damaged(json.loads(content[8 : 8 + length])))
    path.write_bytes(struct.pack("<Q", len(new)) + new + content[8 + length :])
    doors: list[Callable[[Path], object]] = [
        formats.read, formats.kind_of, header.format_of, header.family_of, header.metadata, kohya.model_hash,
        record.of_file, embeddings.hold, lambda file: specs.find(str(file)),
    ]  # fmt: skip
    for door in doors:
        holds(lambda door=door: door(path))


@MORE
@given(st.data())
def test_the_settings_beside_and_inside_of_lora_files(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "adapter_model.safetensors"
    text = data.draw(damaged(ADAPTER))
    lora(path, "base_model.model.unet.down_blocks.0.attentions.0.proj_in")
    (tmp_path / "adapter_config.json").write_bytes(text)
    holds(lambda: formats.read(path))
    flat = {f"unet.{key}": value for key, value in ADAPTER.items()}
    inside = data.draw(damaged(flat)).decode("utf-8", "replace")
    lora(path, "unet.down_blocks.0.attentions.0.proj_in", {"lora_adapter_metadata": inside})
    holds(lambda: formats.read(path))


@MORE
@given(st.data())
def test_the_record_of_a_training(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "a.safetensors"
    lora(path, metadata={record.KEY: data.draw(damaged(RECORD)).decode("utf-8", "replace")})
    holds(lambda: record.of_file(path))


@MORE
@given(st.data())
def test_the_shot_and_the_sheet_in_a_png(tmp_path: Path, data: st.DataObject) -> None:
    text = data.draw(damaged(SHOT.to_dict())).decode("utf-8", "replace")
    axes = {"axes": [["strength", [0.5, 1]], ["snapshot", [2, 4]]], "prompt": "woman"}
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text(infotext.SHOT_KEY, text)
    chunks.add_itxt("sid sheet", data.draw(damaged(axes)).decode("utf-8", "replace"))
    path = tmp_path / f"{SHOT.id}.png"
    scene(1, 32).save(path, pnginfo=chunks)
    holds(lambda: infotext.shot_of(path))
    holds(lambda: infotext.candidate_shot(path))
    project = make_project_once(tmp_path)
    generation = Generation(project, None, 1)  # type: ignore[arg-type]
    inside = project.folder / "sheet.png"
    inside.write_bytes(path.read_bytes())
    holds(lambda: sheet_file.read(generation, inside))


def make_project_once(folder: Path) -> projects.Project:
    workspace = Workspace(folder / "workspace")
    return workspace.project("apple") if workspace.project_names() else make_project(folder)


_FIELDS = {
    "Steps": "20", "Sampler": "Euler a", "CFG scale": "7", "Seed": "5", "Size": "512x512", "Clip skip": "2",
    "Denoising strength": "0.4", "Hires upscale": "2", "Hires steps": "10", "Hires upscaler": "Lanczos",
}  # fmt: skip
_NUMBERS = st.sampled_from(
    ["0", "-1", "99", "nan", "inf", "-inf", "1e999", str(2**64), "9" * 5000, "", "x", "0x0", "-8x512", "1x2x3",
     "99999999x99999999", "512x", "20.0", "1e1", "٣"]
) | st.text(max_size=9)  # fmt: skip


@settings(MORE, max_examples=80)
@given(st.dictionaries(st.sampled_from(sorted(_FIELDS)), _NUMBERS, max_size=3))
def test_numbers_of_infotext(changed: dict[str, str]) -> None:
    parameters = infotext.Infotext("woman", "", {**_FIELDS, **changed})
    holds(lambda: infotext_shot.of_infotext(Path("a.png"), parameters))


_SD = {
    "model_index.json": {"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"]},
    "unet/config.json": {
        "sample_size": 64, "down_block_types": ["A", "B"], "in_channels": 4, "cross_attention_dim": 768,
    },
    "vae/config.json": {"block_out_channels": [128, 256]},
    "text_encoder/config.json": {"hidden_size": 768},
    "scheduler/scheduler_config.json": {"prediction_type": "epsilon"},
}  # fmt: skip


@MORE
@given(st.data())
def test_the_files_of_a_diffusers_folder(tmp_path: Path, data: st.DataObject) -> None:
    hostile = data.draw(st.sampled_from(sorted(_SD)))
    for name, value in _SD.items():
        path = tmp_path / "model" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.draw(damaged(value)) if name == hostile else json.dumps(value).encode())

    def door() -> None:
        spec = specs.find(str(tmp_path / "model"))
        specs.geometry(spec)
        specs.predicting(spec, "epsilon")

    holds(door)


@pytest.mark.parametrize("name", ["vocab.json", "merges.txt", "tokenizer_config.json"])
@pytest.mark.parametrize("content", [b"[]", b'{"a": "b"}', b"\xff\xfe", b"[" * 5000, b""])
def test_damaged_tokenizers(tmp_path: Path, name: str, content: bytes) -> None:
    for file, value in _SD.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(json.dumps(value))
    (tmp_path / "tokenizer").mkdir()
    tokens = {"<|startoftext|>": 0, "<|endoftext|>": 1, "a</w>": 2}
    (tmp_path / "tokenizer" / "vocab.json").write_text(json.dumps(tokens))
    (tmp_path / "tokenizer" / "merges.txt").write_text("#version: 0.2\n")
    (tmp_path / "tokenizer" / name).write_bytes(content)
    holds(lambda: specs.vocabulary(specs.find(str(tmp_path))))


@st.composite
def damaged_toml(draw: st.DrawFn, text: str) -> bytes:
    """A TOML text with values exchanged, lines left out or its bytes damaged."""
    lines = text.splitlines()
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.sampled_from([number for number, line in enumerate(lines) if "=" in line]))
        odd = draw(
            st.sampled_from(
                ["1", "-1", "1.5", "nan", "-inf", "true", '"x"', '""', "[]", "[[1]]", "{a = 1}", "{}", "9" * 30,
                 "9" * 5000, "0x" + "f" * 5000, "[" * 3000 + "]" * 3000, "1979-05-27", '"""\n"""', '"\\u202e\\n"']
            )
        )  # fmt: skip
        lines[at] = f"{lines[at].partition('=')[0]}= {odd}"
    content = "\n".join(lines).encode()
    kind = draw(st.integers(0, 9))
    at = draw(st.integers(0, len(content)))
    return content[:at] if kind == 0 else content[:at] + b"\xff" + content[at:] if kind == 1 else content


@MORE
@given(st.data())
def test_project_toml(tmp_path: Path, data: st.DataObject) -> None:
    project = make_project_once(tmp_path)
    whole = project.toml.read_bytes()
    path = tmp_path / "project.toml"
    path.write_bytes(data.draw(damaged_toml(whole.decode())))
    holds(lambda: projects.read_settings(path))


@MORE
@given(st.data())
def test_review_toml(tmp_path: Path, data: st.DataObject) -> None:
    text = f'[login]\ncookie_secret = "{"s" * 40}"\npassword_hash = "$argon2id$x"\nemails = ["a@b.c"]\n'
    (tmp_path / login_settings.FILE).write_bytes(data.draw(damaged_toml(text)))
    holds(lambda: login_settings.read(Workspace(tmp_path)))
    holds(lambda: login_settings.set_password(Workspace(tmp_path), "short"))


@MORE
@given(st.data())
def test_what_lies_beside_taggers_embedders_and_tag_drawings(tmp_path: Path, data: st.DataObject) -> None:
    drawing = {"tag": "hat", "sameness": 0.5, "is_known": True, "file": "a.webp"}
    (tmp_path / "tags.json").write_bytes(data.draw(damaged({"base": "x", "tags": [drawing]})))
    holds(lambda: drawn_tags.read(tmp_path))
    config = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
    (tmp_path / "preprocessor_config.json").write_bytes(data.draw(damaged(config)))
    holds(lambda: embedding._normalization(tmp_path, "curation.embedder"))
    table = data.draw(st.text(st.sampled_from('name,category\n"0\r\ufeff\x00ä'), max_size=60))
    (tmp_path / "selected_tags.csv").write_text("name,category\n" + table, "utf-8", newline="")
    holds(lambda: tagging._read_table(tmp_path / "selected_tags.csv"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("places.txt", b"sea\n\xff\xfe\n"),
        ("places.json", b'["sea", "' ),
        ("places.json", b"[" * 5000),
        ("places.yaml", b"a: [b"),
        ("places.yaml", b"a: &x [sea]\nb: *x"),
        ("places.yaml", b"- " * 3000),
        ("places.txt", None),
    ],
)  # fmt: skip
def test_damaged_wildcards(tmp_path: Path, name: str, content: bytes | None) -> None:
    if content is None:
        os.mkfifo(tmp_path / name)
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=r"wildcards .*places"):
        choices.Choices([tmp_path]).chosen("__places__", 1)


@pytest.fixture(scope="module")
def catalog_of_two(tmp_path_factory: pytest.TempPathFactory) -> projects.Project:
    made = make_project(tmp_path_factory.mktemp("catalog"))
    with closing(open_catalog(made)) as catalog:
        add_published(made, catalog, 1, 2)
        trainings.begin(catalog, made.name, 1, "t" * 64, {}, [])
        sheets.note(catalog, made.name, sheets.Sheet(1, Path("a.png"), {"seed": [1], "steps": [2]}, ""))
    return made


@settings(MORE, max_examples=20)
@given(st.data())
def test_rows_of_a_damaged_catalog(catalog_of_two: projects.Project, data: st.DataObject) -> None:
    made, name = catalog_of_two, catalog_of_two.name
    text = data.draw(damaged(made_shot(1000).to_dict())).decode("utf-8", "replace")
    with closing(sqlite3.connect(made.workspace.folder / "catalog.sqlite")) as connection, connection:
        connection.execute("update candidate set shot = ? where id = 1", (text,))
    with closing(open_catalog(made)) as catalog:
        holds(lambda: candidates.candidates(catalog, name))
        holds(lambda: published.shots_of(catalog, [1, 2]))
        holds(lambda: sheets.of_project(catalog, name))
        holds(lambda: trainings.of_generation(catalog, name, 1))


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("candidate", "state"), ("candidate", "verdict"), ("candidate", "decided_at"), ("candidate", "path"),
        ("candidate", "caption"), ("candidate", "shot"), ("generation", "state"), ("generation", "updated_at"),
        ("generation", "tallies"), ("sheet", "axes"), ("training", "settings"), ("training", "dataset"),
    ],
)  # fmt: skip
def test_columns_of_a_damaged_catalog(catalog_of_two: projects.Project, table: str, column: str) -> None:
    """SQLite takes values of any type in any column."""
    made, name = catalog_of_two, catalog_of_two.name
    path = made.workspace.folder / "catalog.sqlite"
    whole = path.read_bytes()
    for value in (b"\xff", "x", "", 5, "[[]]", "null"):
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(f"update {table} set {column} = ?", (value,))
        with closing(open_catalog(made)) as catalog:
            for door in (
                lambda: candidates.candidates(catalog, name, state=None),
                lambda: generations.statuses(catalog, name),
                lambda: generations.tallies_of(catalog, name, 1),
                lambda: sheets.of_project(catalog, name),
                lambda: trainings.of_generation(catalog, name, 1),
            ):
                holds(door)
        path.write_bytes(whole)


def test_a_whole_shot_is_read_as_it_was_written() -> None:
    assert Shot.from_dict(json.loads(json.dumps(SHOT.to_dict()))) == SHOT
