"""What the flow-matching families cannot honour is refused by name, or told, before any work."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from streamlit.testing.v1 import AppTest

from bootstrap.catalog import Catalog
from bootstrap.errors import UserError
from bootstrap.loop import generation
from bootstrap.models import specs
from bootstrap.planning import inputs
from bootstrap.planning.expand import DrawnWith, expand
from bootstrap.project import conflicts, editing
from bootstrap.project.projects import Project, Workspace, create
from tests.families import tiny_transformers

CAPTION = "woman, red apple, blue blazer"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("bases")
    return {
        "Z-Image": tiny_transformers.z_image(home / "z"),
        "Z-Image Turbo": tiny_transformers.z_image(home / "zt", shift=3.0),
        "FLUX.2 klein": tiny_transformers.flux2_klein(home / "f"),
        "FLUX.2 klein (distilled)": tiny_transformers.flux2_klein(home / "fd", is_distilled=True),
    }


@pytest.fixture(scope="module")
def projects(
    folders: dict[str, Path], originals: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Project]:
    workspace = Workspace(tmp_path_factory.mktemp("workspace"))
    return {
        title: create(workspace, f"p{number}", originals / "badge.png", CAPTION, str(folder))
        for number, (title, folder) in enumerate(folders.items())
    }


ANY = ("Z-Image", "FLUX.2 klein")
DISTILLED = ("Z-Image Turbo", "FLUX.2 klein (distilled)")
VARY = '[[recipe]]\nkind = "vary"\ncount = 1\n'
LONG = "a woman who holds a red apple, " * 40


@pytest.mark.parametrize(
    ("titles", "section", "line", "message"),
    [
        (ANY, "drawing", 'negative_prompt = "(blurry:1.3)"',
         r"'drawing\.negative_prompt': {} reads no weights .'blurry' has"),
        (ANY, "drawing", 'negative_prompt = "a BREAK b"', "'drawing.negative_prompt': {} reads a prompt as a whole"),
        (ANY, "training", 'sample_prompts = ["a hat", "[woman]"]', r"'training\.sample_prompts\[2\]': {} reads no wei"),
        (ANY, "training", 'class_tokens = "((woman))"', r"'training\.class_tokens': {} reads no weights"),
        (ANY, "training", "clip_skip = 2", r"'training\.clip_skip' is 2, but {} supports only 1"),
        (ANY, "drawing", "clip_skip = 2", r"'drawing\.clip_skip' is 2, but {} supports"),
        (ANY, "training", "conv_dim = 8", r"'training\.conv_dim' is 8, but {} supports"),
        (ANY, "training", "min_snr_gamma = 5", r"'training\.min_snr_gamma' is 5\.0, but {} supports"),
        (ANY, "training", "noise_offset = 0.05", r"'training\.noise_offset' is 0\.05, but {} supports"),
        (ANY, "training", "text_encoder_lr = 1e-4", r"'training\.text_encoder_lr' is 0\.0001, but {} supports"),
        (ANY, "drawing", 'sampler = "DPM++ 2M"', r"'drawing\.sampler' is DPM\+\+ 2M; {} supports Euler, Heun"),
        (ANY, "drawing", 'schedule = "Karras"', r"'drawing\.schedule' is Karras; {} supports Automatic"),
        (ANY, "project", 'prediction_type = "epsilon"', "{} does not support 'epsilon'"),
        (ANY, "project", f'caption = "{LONG}"',
         r"'project\.caption': it has \d+ tokens with its template, {} reads 512"),
        (ANY, "recipe", 'kind = "add"\ntags = ["(straw hat:1.2)"]', r"'recipe\[1\]\.tags\[1\]': {} reads no weights"),
        (ANY, "recipe", 'kind = "inpaint"\nbox = [8, 8, 64, 64]\nrounds = [{{ prompt = "a [hat]" }}]',
         r"'recipe\[1\]\.rounds\[1\]\.prompt': {} reads no weights"),
        (DISTILLED, "drawing", 'negative_prompt = "blurry"',
         r"'drawing\.negative_prompt' is 'blurry', but {} supports"),
        (DISTILLED, "drawing", "cfg_scale = 4", r"'drawing\.cfg_scale' is 4\.0, but {} supports only 1"),
        (DISTILLED, "recipe", 'kind = "vary"\nnegative_prompt = "x"',
         r"recipe\[1\]\.negative_prompt' is 'x', but {} sup"),
        (DISTILLED, "recipe", 'kind = "eliminate"\nas_negative = true',
         r"recipe\[1\]\.as_negative' is True, but {} sup"),
        (DISTILLED, "recipe", 'kind = "hires"\nhires_cfg_scale = 3',
         r"recipe\[1\]\.hires_cfg_scale' is 3\.0, but {} sup"),
    ],
)  # fmt: skip
def test_a_setting_is_refused_when_it_is_read(
    projects: dict[str, Project], titles: tuple[str, ...], section: str, line: str, message: str
) -> None:
    for title in titles:
        project = projects[title]
        text = project.toml.read_text()
        try:
            if section == "recipe":
                before = text.partition("\n[[recipe]]")[0]
                changed = f"{before}\n[[recipe]]\n{line.replace('{{', '{').replace('}}', '}')}\n"
            else:
                key = line.split(" = ")[0]
                kept = [each for each in text.splitlines() if not each.startswith(f"{key} = ")]
                changed = "\n".join(kept).replace(f"[{section}]", f"[{section}]\n{line}\n#", 1)
            project.toml.write_text(changed)
            escaped = title.replace("(", r"\(").replace(")", r"\)")
            with pytest.raises(UserError, match=message.replace("{}", escaped)) as refused:
                project.workspace.project(project.name).settings  # noqa: B018  (the property reads the file)
            assert "\n" not in str(refused.value)
        finally:
            project.toml.write_text(text)


@pytest.mark.parametrize("title", ANY)
def test_sides_are_multiples_of_the_published_step(
    folders: dict[str, Path], originals: Path, tmp_path: Path, title: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(folders[title], folder)
    config = json.loads((folder / "vae" / "config.json").read_text())
    config["block_out_channels"] = [8, 16, 16, 16]  # eight pixels to a latent, as in the published models
    (folder / "vae" / "config.json").write_text(json.dumps(config))
    project = create(Workspace(tmp_path / "w"), "a", originals / "badge.png", CAPTION, str(folder))
    for key, value in (("training.resolution", 1032), ("drawing.width", 1032), ("drawing.height", 1000)):
        with pytest.raises(UserError, match=f"'{key}' is {value}; .* takes multiples of 16"):
            editing.edited(project, {key: value})
    with pytest.raises(UserError, match=r"'recipe\[\d\]\.sizes' is 1000; .* takes multiples of 16"):
        editing.with_recipe(project, {"kind": "resize", "sizes": [[1024, 1000]]})
    edit = editing.with_recipe(project, {"kind": "hires", "hires_upscale": 1.3, "snapshot": 4, "count": 1})
    catalog = Catalog(project.workspace.catalog_url)
    gathered = inputs.gather(edit.project, catalog)
    catalog.close()
    drawn_with = DrawnWith("m", "", "", "", 1, 832, 1216, inputs=gathered)
    assert [
        (shot.width, shot.height) for shot in expand(edit.project.settings, drawn_with) if shot.hires
    ] == [(1088, 1584)]


def test_a_schedule_and_escaped_brackets_are_no_weights(projects: dict[str, Project]) -> None:
    for title in ANY:
        values = {"drawing.negative_prompt": r"[green:blue:0.5] hat, saber \(fate\), a AND b :0.6, [one|two]"}
        editing.edited(projects[title], values)


def test_what_wildcards_bring_is_refused_when_a_run_begins(projects: dict[str, Project]) -> None:
    project = projects["Z-Image"]
    (project.folder / "wildcards").mkdir()
    (project.folder / "wildcards" / "hats.txt").write_text("(red hat:1.4)\n")
    text = project.toml.read_text()
    project.toml.write_text(
        text.partition("\n[[recipe]]")[0] + '\n[[recipe]]\nkind = "add"\ntags = ["__hats__"]\ncount = 1\n'
    )
    catalog = Catalog(project.workspace.catalog_url)
    try:
        with pytest.raises(UserError, match=r"prompt '.*red hat.*': Z-Image reads no weights"):
            generation.prepare(project.workspace.project(project.name), catalog)
        (project.folder / "wildcards" / "hats.txt").write_text("straw hat\n")
        embeddings = project.folder / "embeddings"
        embeddings.mkdir()
        save_file({"emb_params": torch.zeros(1, 768)}, embeddings / "straw.safetensors")
        with pytest.raises(
            UserError, match=r"embedding .*straw\.safetensors: the prompt names it, but Z-Image has no"
        ):
            generation.prepare(project.workspace.project(project.name), catalog)
    finally:
        catalog.close()
        project.toml.write_text(text)


@pytest.mark.parametrize(
    ("values", "note"),
    [
        ({"timestep_sampling": "sigmoid", "discrete_flow_shift": 3.0}, "discrete_flow_shift 3 has no effect with"),
        ({"timestep_sampling": "uniform", "sigmoid_scale": 2.0}, "sigmoid_scale 2 has no effect with timestep_sampl"),
        ({"timestep_sampling": "shift", "logit_mean": 0.5}, "logit_mean 0.5 has no effect with timestep_sampl"),
        ({"timestep_sampling": "shift", "logit_std": 2.0}, "only with logit_normal"),
        ({"max_token_length": 75}, "max_token_length 75 has no effect"),
        ({"timestep_sampling": "shift", "discrete_flow_shift": 3.0, "sigmoid_scale": 1.5}, None),
        ({"timestep_sampling": "logit_normal", "logit_std": 2.0}, None),
        ({"timestep_sampling": "uniform"}, None),  # the family's own discrete_flow_shift stays
    ],
)  # fmt: skip
def test_flow_settings_without_effect_are_told(
    projects: dict[str, Project], values: dict[str, object], note: str | None
) -> None:
    edit = editing.edited(projects["Z-Image"], {f"training.{key}": value for key, value in values.items()})
    told = "\n".join(conflicts.notes(*edit.project.settings_and_base))
    assert note in told if note else told == ""


@pytest.mark.parametrize("base", ["papertown"])
def test_a_base_that_matches_no_flows_refuses_their_settings(
    originals: Path, tmp_path: Path, base: str
) -> None:
    project = create(Workspace(tmp_path), "a", originals / "badge.png", CAPTION, base)
    with pytest.raises(
        UserError, match=r"'training\.timestep_sampling' is 'shift', but Stable Diffusion 1\.x supports"
    ):
        editing.edited(project, {"training.timestep_sampling": "shift"})


@pytest.mark.parametrize(
    ("tensors", "kind"),
    [
        (["cap_pad_token", "layers.0.attention.qkv.weight"], "Z-Image"),
        (["model.diffusion_model.cap_pad_token"], "Z-Image"),
        (["double_stream_modulation_img.lin.weight", "double_blocks.0.img_attn.qkv.weight"], r"FLUX\.2"),
    ],
)
def test_a_transformer_alone_is_refused_by_name(tmp_path: Path, tensors: list[str], kind: str) -> None:
    path = tmp_path / "model.safetensors"
    save_file({name: torch.from_numpy(np.zeros((2, 2), np.float32)) for name in tensors}, path)
    with pytest.raises(UserError, match=f"it is the transformer of {kind} alone, .*; give the folder"):
        specs.find(str(path))


def test_the_settings_page_shows_what_the_base_model_leaves_open(
    projects: dict[str, Project], originals: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(name: str) -> None:
        from review_app.pages import settings
        from review_app.workspace import workspace

        settings.show(workspace().project(name))

    workspace = projects["Z-Image"].workspace
    monkeypatch.setenv("SID_WORKSPACE", str(workspace.folder))
    create(workspace, "papertown", originals / "badge.png", CAPTION, "papertown")
    labels = {}
    for name in (projects["Z-Image"].name, projects["Z-Image Turbo"].name, "papertown"):
        ran = AppTest.from_function(script, kwargs={"name": name}, default_timeout=60).run()
        assert not ran.exception, ran.exception
        kinds = (ran.number_input, ran.text_input, ran.text_area, ran.selectbox, ran.toggle)
        labels[name] = {field.label for kind in kinds for field in kind}
    base, turbo, stable = labels.values()
    assert {"Timestep sampling", "Discrete flow shift", "Logit mean", "Weighting scheme"} <= base
    assert {"Min SNR gamma", "CLIP skip", "Conv dim"}.isdisjoint(base)
    assert {"Negative prompt", "CFG scale"} <= base
    assert {"Negative prompt", "CFG scale"}.isdisjoint(turbo)
    assert {"Min SNR gamma", "CLIP skip", "Conv dim"} <= stable
    assert {"Timestep sampling", "Discrete flow shift"}.isdisjoint(stable)
