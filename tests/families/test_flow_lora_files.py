"""LoRA files of the flow-matching families in every dialect: read, drawn with, written, and compared with PEFT's."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import Flux2KleinPipeline, ZImagePipeline
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from bootstrap.api.projects import open_workspace
from bootstrap.catalog import Catalog
from bootstrap.drawing.engine import draw_batches
from bootstrap.errors import UserError
from bootstrap.lora import converting, formats, header, kohya
from bootstrap.lora.merge import merged
from bootstrap.lora.modules import LoraFile, LoraModule
from bootstrap.lora.targets import layers_of, target_modules
from bootstrap.models import loading, specs
from bootstrap.models.family import BaseModel
from bootstrap.planning import inputs
from bootstrap.project.projects import create
from bootstrap.shots import LoraUse, Shot
from tests import sid_command
from tests.families import tiny_transformers

WRITERS: dict[str, Callable[[Path], Path]] = {
    "z-image": tiny_transformers.z_image,
    "flux2": tiny_transformers.flux2_klein,
}
STATED = {
    "z-image": {"ss_base_model_version": "zimage"},
    "flux2": {"ss_base_model_version": "flux_2_klein_4b"},
}
PIPELINES = {"z-image": ZImagePipeline, "flux2": Flux2KleinPipeline}
RANK, ALPHA = 3, 2.0
# Modules in a file that hold the rows of several of diffusers, by what replaces the last word of the first.
FUSED = {
    "z-image": [(("attention.to_q", "attention.to_k", "attention.to_v"), "attention.qkv")],
    "flux2": [
        (("attn.to_q", "attn.to_k", "attn.to_v"), "img_attn.qkv"),
        (("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"), "txt_attn.qkv"),
    ],
}
RENAMED = {
    "z-image": [("attention.to_out.0", "attention.out")],
    "flux2": [
        ("attn.to_out.0", "img_attn.proj"), ("attn.to_add_out", "txt_attn.proj"),
        ("ff_context.linear_in", "txt_mlp.0"), ("ff_context.linear_out", "txt_mlp.2"), ("ff.linear_in", "img_mlp.0"),
        ("ff.linear_out", "img_mlp.2"), ("attn.to_qkv_mlp_proj", "linear1"), ("attn.to_out", "linear2"),
        ("single_transformer_blocks", "single_blocks"), ("transformer_blocks", "double_blocks"),
    ],
}  # fmt: skip


@pytest.fixture(scope="module", params=WRITERS)
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    return loading.hold(specs.find(str(WRITERS[request.param](tmp_path_factory.mktemp(request.param)))))


@pytest.fixture(scope="module")
def trained(base: BaseModel) -> LoraFile:
    """A LoRA of every module that a training here changes, as a training makes it."""
    generator = torch.Generator().manual_seed(4)
    modules = {}
    for name, layer in target_modules(base).items():
        rows, columns = layer.weight.shape
        down = torch.randn((RANK, columns), generator=generator)
        up = 0.1 * torch.randn((rows, RANK), generator=generator)
        modules[name] = LoraModule(down, up, ALPHA)
    return LoraFile(modules, {})


def paths(base: BaseModel, names: Iterable[str]) -> dict[str, str]:
    """Return kohya's name by diffusers' path."""
    return {base.family.module_path(name)[0]: name for name in names}


def release_path(base: BaseModel, path: str) -> str:
    for own, release in RENAMED[base.family.name]:
        path = path.replace(own, release)
    return path


Named = tuple[str, LoraModule]


def apart(base: BaseModel, lora: LoraFile) -> list[Named]:
    """Return modules by diffusers' path."""
    return [(path, lora.modules[name]) for path, name in paths(base, lora.modules).items()]


def fused(base: BaseModel, lora: LoraFile) -> list[Named]:
    """Return modules by the release's path; those of a fused one share a `down`, as in a file trained like that."""
    by_path, found = dict(apart(base, lora)), []
    for path, module in by_path.items():
        ends = next(((ends, to) for ends, to in FUSED[base.family.name] if path.endswith(ends)), (("",), ""))
        if not ends[1]:
            found.append((release_path(base, path), module))
        elif path.endswith(ends[0][0]):
            block = path.removesuffix(ends[0][0])
            up = torch.cat([by_path[block + end].up for end in ends[0]])
            found.append((release_path(base, block + ends[1]), LoraModule(module.down, up, module.alpha)))
    return found


def underscored(path: str) -> str:
    return path.replace(".", "_")


def write_kohya(path: Path, prefix: str, modules: list[Named]) -> Path:
    tensors = {}
    for name, module in modules:
        stem = prefix + underscored(name)
        tensors |= {f"{stem}.lora_down.weight": module.down, f"{stem}.lora_up.weight": module.up}
        tensors[f"{stem}.alpha"] = torch.tensor(module.alpha)
    save_file({key: tensor.clone() for key, tensor in tensors.items()}, path, {})
    return path


def write_peft(path: Path, prefix: str, modules: list[Named], letters: str = "") -> Path:
    """Write without alpha, which is then the rank."""
    tensors = {}
    for name, module in modules:
        scale = module.alpha / module.rank
        tensors[f"{prefix}{name}.lora_A{letters}.weight"] = module.down.clone()
        tensors[f"{prefix}{name}.lora_B{letters}.weight"] = scale * module.up
    save_file(tensors, path, {})
    return path


def with_metadata(path: Path, modules: list[Named]) -> Path:
    """Write as diffusers does with an adapter's settings, which hold the alpha."""
    tensors = {}
    for name, module in modules:
        tensors[f"transformer.{name}.lora_A.weight"] = module.down.clone()
        tensors[f"transformer.{name}.lora_B.weight"] = module.up
    stated = {"transformer.r": RANK, "transformer.lora_alpha": ALPHA}
    save_file(tensors, path, {"format": "pt", "lora_adapter_metadata": json.dumps(stated)})
    return path


def with_config(path: Path, modules: list[Named]) -> Path:
    """Write as PEFT does, with the alpha in a file beside."""
    settings = {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA}
    path.with_name("adapter_config.json").write_text(json.dumps(settings))
    tensors = {}
    for name, module in modules:
        tensors[f"base_model.model.{name}.lora_A.weight"] = module.down.clone()
        tensors[f"base_model.model.{name}.lora_B.weight"] = module.up
    save_file(tensors, path)
    return path


Dialect = Callable[[Path, BaseModel, LoraFile], Path]
DIALECTS: dict[str, tuple[Dialect, str]] = {
    "musubi-tuner": (lambda path, base, lora: write_kohya(path, "lora_unet_", apart(base, lora)), "kohya"),
    "OneTrainer": (lambda path, base, lora: write_kohya(path, "lora_transformer_", apart(base, lora)), "kohya"),
    "LyCORIS": (lambda path, base, lora: write_kohya(path, "lycoris_", apart(base, lora)), "kohya"),
    "diffusers": (lambda path, base, lora: with_metadata(path, apart(base, lora)), "diffusers"),
    "diffusers without alpha": (
        lambda path, base, lora: write_peft(path, "transformer.", apart(base, lora)), "diffusers",
    ),
    "PEFT": (lambda path, base, lora: with_config(path, apart(base, lora)), "peft"),
    "DiffSynth": (lambda path, base, lora: write_peft(path, "", apart(base, lora), ".default"), "peft"),
    "ai-toolkit, apart": (
        lambda path, base, lora: write_peft(path, "diffusion_model.", apart(base, lora)), "comfyui",
    ),
}  # fmt: skip
FUSED_DIALECTS: dict[str, tuple[Dialect, str]] = {
    "kohya": (lambda path, base, lora: write_kohya(path, "lora_unet_", fused(base, lora)), "kohya"),
    "ai-toolkit": (
        lambda path, base, lora: write_peft(path, "diffusion_model.", fused(base, lora)), "comfyui",
    ),
    "ComfyUI": (
        lambda path, base, lora: write_peft(path, "model.diffusion_model.", fused(base, lora)), "comfyui",
    ),
}  # fmt: skip


def shared(base: BaseModel, lora: LoraFile) -> LoraFile:
    """Return a LoRA whose fused modules have one `down`, as a file has that was trained on them."""
    modules = dict(lora.modules)
    by_path = paths(base, lora.modules)
    for path, name in by_path.items():
        for ends, _ in FUSED[base.family.name]:
            if path.endswith(ends):
                block = path.removesuffix(next(end for end in ends if path.endswith(end)))
                first = lora.modules[by_path[block + ends[0]]]
                modules[name] = LoraModule(first.down, lora.modules[name].up, ALPHA)
    return LoraFile(modules, {})


def assert_same(found: LoraFile, wanted: LoraFile, tolerance: float = 1e-6) -> None:
    assert set(found.names) == set(wanted.names)
    for name, module in wanted.modules.items():
        delta = module.delta()
        largest = float(delta.abs().max())
        assert float((found.modules[name].delta() - delta).abs().max()) <= tolerance * largest, name


@pytest.mark.parametrize("dialect", [*DIALECTS, *FUSED_DIALECTS])
def test_every_dialect_is_read_and_written_again(
    base: BaseModel, trained: LoraFile, tmp_path: Path, dialect: str
) -> None:
    write, file_format = {**DIALECTS, **FUSED_DIALECTS}[dialect]
    wanted = shared(base, trained) if dialect in FUSED_DIALECTS else trained
    source = write(tmp_path / "a.safetensors", base, wanted)
    assert formats.format_of(source) == file_format
    assert header.recognized(source).key == base.family.name
    read = formats.read(source)
    assert_same(read, wanted)
    merged(base, [(read, 1.0)])  # checks that the base model has each of them
    for to_format in converting.FORMATS:
        again = tmp_path / f"{to_format}.safetensors"
        assert converting.convert(source, again, to_format) == len(wanted.modules)
        assert formats.format_of(again) == to_format
        assert_same(formats.read(again), wanted)


@pytest.mark.parametrize("dialects", [DIALECTS, FUSED_DIALECTS])
def test_a_file_draws_the_same_in_every_dialect(
    base: BaseModel, trained: LoraFile, tmp_path: Path, dialects: dict[str, tuple[Dialect, str]]
) -> None:
    lora = shared(base, trained)

    def drawn(loras: dict[LoraUse, LoraFile]) -> np.ndarray:
        shot = Shot(
            prompt="a woman", negative_prompt="", seed=7, steps=2, cfg_scale=1.0, sampler="Euler",
            schedule="Automatic", width=32, height=32, clip_skip=1, base_model="tiny", base_model_hash=base.hash,
            loras=tuple(loras),
        )  # fmt: skip
        [[candidate]] = list(draw_batches(base, [shot], loras, 1))
        return np.asarray(candidate.picture).astype(int)

    use = LoraUse("a", "", 0, 1.0, sha256="0" * 64, source="a.safetensors")
    wanted, without = drawn({use: lora}), drawn({})
    assert np.abs(wanted - without).max() > 10
    for name, (write, _) in dialects.items():
        (tmp_path / name).mkdir()
        read = formats.read(write(tmp_path / name / "a.safetensors", base, lora))
        assert np.abs(drawn({use: read}) - wanted).max() <= 1, name


def test_a_snapshot_has_the_names_of_the_release_and_reads_back_as_trained(
    base: BaseModel, trained: LoraFile, tmp_path: Path
) -> None:
    """ComfyUI knows `lora_unet_` with the release's paths, in which query, key and value are one module."""
    path = tmp_path / "a.safetensors"
    kohya.write(path, trained.modules, {}, torch.float32)
    tensors = load_file(path)
    wanted = {"lora_unet_" + underscored(name) for name, _ in fused(base, trained)}
    assert {name.partition(".")[0] for name in tensors} == wanted
    for name, module in formats.read(path).modules.items():
        assert torch.equal(module.down, trained.modules[name].down), name
        assert torch.equal(module.up, trained.modules[name].up), name
        assert module.alpha == ALPHA
    assert {float(tensor) for name, tensor in tensors.items() if name.endswith("qkv.alpha")} == {3 * ALPHA}


@pytest.mark.parametrize("alpha", [0.1, 1.0])
def test_a_joined_alpha_keeps_its_digits_in_half_precision(
    base: BaseModel, trained: LoraFile, tmp_path: Path, alpha: float
) -> None:
    modules = {
        name: LoraModule(module.down.half(), module.up.half(), alpha)
        for name, module in trained.modules.items()
    }
    kohya.write(tmp_path / "a.safetensors", modules, {}, torch.float16)
    read = formats.read(tmp_path / "a.safetensors")
    assert {module.alpha for module in read.modules.values()} == {float(torch.tensor(alpha).half())}


def test_modules_of_other_ranks_and_alphas_are_joined(
    base: BaseModel, trained: LoraFile, tmp_path: Path
) -> None:
    """Some of query, key and value may have another rank or alpha, or be left out."""
    modules = dict(trained.modules)
    for path, name in paths(base, trained.modules).items():
        if path.endswith(("to_q", "add_q_proj")):
            modules[name] = LoraModule(modules[name].down[:2], modules[name].up[:, :2], 0.7)
        if path.endswith(("to_k", "add_k_proj")):
            del modules[name]
    kohya.write(tmp_path / "a.safetensors", modules, {}, torch.float32)
    read = formats.read(tmp_path / "a.safetensors")
    for name, module in read.modules.items():
        wanted = modules[name].delta() if name in modules else torch.zeros(module.shape)
        assert torch.allclose(module.delta(), wanted, atol=1e-6), name


def test_diffusers_loads_what_is_written(base: BaseModel, trained: LoraFile, tmp_path: Path) -> None:
    """Every format, and also the snapshots, give diffusers' own layers the same outputs as merging here."""
    kohya.write(tmp_path / "kohya.safetensors", trained.modules, {}, torch.float32)
    for to_format in converting.FORMATS[1:]:
        converting.convert(tmp_path / "kohya.safetensors", tmp_path / f"{to_format}.safetensors", to_format)
    for to_format in converting.FORMATS:
        pipeline = PIPELINES[base.family.name].from_pretrained(base.spec.source)
        pipeline.load_lora_weights(str(tmp_path / f"{to_format}.safetensors"))
        assert_forward(base, pipeline.transformer, trained, to_format)


def assert_forward(base: BaseModel, transformer: torch.nn.Module, lora: LoraFile, about: str = "") -> None:
    layers = {name: layer for part in layers_of(base) for name, layer in part.items()}
    with merged(base, [(lora, 1.0)]), torch.no_grad():
        for path, name in paths(base, lora.modules).items():
            given = torch.randn(3, layers[name].weight.shape[1], generator=torch.Generator().manual_seed(0))
            wanted = transformer.get_submodule(path)(given)
            largest = max(1.0, float(wanted.abs().max()))
            assert float((layers[name](given) - wanted).abs().max()) <= 1e-5 * largest, (about, name)


@pytest.mark.parametrize("has_metadata", [True, False])
def test_a_file_of_diffusers_itself_adds_what_its_layers_add(
    base: BaseModel, tmp_path: Path, has_metadata: bool
) -> None:
    pipeline = PIPELINES[base.family.name].from_pretrained(base.spec.source)
    targets = {
        "z-image": ["to_q", "to_k", "to_v", "to_out.0", "w1", "w2", "w3", "cap_embedder.1"],
        "flux2": ["to_q", "to_k", "to_v", "to_out.0", "to_qkv_mlp_proj", "linear_in", "x_embedder", "norm_out.linear"],
    }  # fmt: skip
    alpha = 3 if has_metadata else 2
    config = LoraConfig(r=2, lora_alpha=alpha, target_modules=targets[base.family.name])
    pipeline.transformer.add_adapter(config)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in pipeline.transformer.named_parameters():
        if "lora_B" in name:
            parameter.data = 0.2 * torch.randn(parameter.shape, generator=generator)
    metadata = pipeline.transformer.peft_config["default"].to_dict() if has_metadata else None
    type(pipeline).save_lora_weights(
        tmp_path,
        transformer_lora_layers=get_peft_model_state_dict(pipeline.transformer),
        **({"transformer_lora_adapter_metadata": metadata} if metadata else {}),
    )
    [path] = tmp_path.glob("*.safetensors")
    read = formats.read(path)
    assert 2 * len(read.modules) == len(load_file(path))
    assert_forward(base, pipeline.transformer, read)
    for to_format in converting.FORMATS:
        converting.convert(path, tmp_path / "again.safetensors", to_format)
        assert_same(formats.read(tmp_path / "again.safetensors"), read)


@pytest.mark.parametrize("base", ["flux2"], indirect=True)
def test_the_last_layers_halves_are_the_other_way_round_in_flux2s_release(
    base: BaseModel, tmp_path: Path
) -> None:
    """Shift comes before scale there, after it in diffusers."""
    rows, columns = base.denoiser.get_submodule("norm_out.linear").weight.shape
    down, up = torch.randn(2, columns), torch.randn(rows, 2)
    stem = "diffusion_model.final_layer.adaLN_modulation.1"
    tensors = {f"{stem}.lora_A.weight": down, f"{stem}.lora_B.weight": up}
    other = "diffusion_model.double_stream_modulation_img.lin"  # which only FLUX.2 has
    tensors |= {
        f"{other}.lora_A.weight": torch.randn(1, columns),
        f"{other}.lora_B.weight": torch.ones(6 * columns, 1),
    }
    save_file(tensors, tmp_path / "a.safetensors")
    read = formats.read(tmp_path / "a.safetensors")
    found = read.modules["lora_unet_norm_out_linear"].delta()
    wanted = up @ down
    assert torch.allclose(found, torch.cat((wanted[rows // 2 :], wanted[: rows // 2])), atol=1e-6)
    converting.convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors", "comfyui")
    assert torch.allclose(load_file(tmp_path / "b.safetensors")[f"{stem}.lora_B.weight"], up, atol=1e-6)
    merged(base, [(read, 1.0)])


def test_every_layer_has_a_name_in_both_namings(base: BaseModel) -> None:
    for name in layers_of(base)[0]:
        found = base.family.file_module(name)
        assert found is not None and name in found.own_names, name
        assert base.family.module_path(underscored(found.path)) == base.family.stem_path(found.path)


@pytest.mark.parametrize("kind", ["DoRA", "full difference", "LoHa", "LoKr"])
def test_other_kinds_of_fused_modules_are_divided(
    base: BaseModel, trained: LoraFile, tmp_path: Path, kind: str
) -> None:
    ends = {"z-image": "layers.0.attention.qkv", "flux2": "double_blocks.0.img_attn.qkv"}[base.family.name]
    [(path, module)] = [each for each in fused(base, trained) if each[0] == ends]
    rows, columns = module.shape
    generator = torch.Generator().manual_seed(2)

    def values(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    parts, delta = {
        "DoRA": ({"lora_down.weight": module.down, "lora_up.weight": module.up, "dora_scale": values(rows, 1)}, None),
        "full difference": ({"diff": (whole := values(rows, columns))}, whole),
        "LoHa": ({"hada_w1_a": (a := values(rows, 2)), "hada_w1_b": (b := values(2, columns)),
                  "hada_w2_a": (c := values(rows, 2)), "hada_w2_b": (d := values(2, columns))}, (a @ b) * (c @ d)),
        "LoKr": ({"lokr_w1": (e := values(4, 4)), "lokr_w2": (f := values(rows // 4, columns // 4))}, torch.kron(e, f)),
    }[kind]  # fmt: skip
    named = {f"lora_unet_{underscored(path)}.{key}": tensor for key, tensor in parts.items()}
    save_file(named, tmp_path / "a.safetensors", STATED[base.family.name])
    read = formats.read(tmp_path / "a.safetensors")
    layers = layers_of(base)[0]
    assert len(read.names) == 3
    before = torch.cat([layers[name].weight for name in read.names])
    if delta is None:
        full = before + module.up @ module.down
        delta = full / full.norm(dim=1, keepdim=True) * parts["dora_scale"] - before
    for source in ("a", "b"):
        with merged(base, [(formats.read(tmp_path / f"{source}.safetensors"), 1.0)]):
            after = torch.cat([layers[name].weight for name in read.names])
        assert torch.allclose(after - before, delta, atol=1e-4), source
        converting.convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors", "kohya")
    with safe_open(tmp_path / "b.safetensors", "pt") as file:
        assert {name.partition(".")[0] for name in file.keys()} == {f"lora_unet_{underscored(path)}"}  # noqa: SIM118


def refused(path: Path, tensors: dict[str, torch.Tensor], base: BaseModel) -> str:
    save_file(
        tensors, path, {"ss_base_model_version": {"z-image": "zimage", "flux2": "flux2"}[base.family.name]}
    )
    with pytest.raises(UserError) as error:
        merged(base, [(formats.read(path), 1.0)])
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_cannot_be_used_is_refused_by_name(base: BaseModel, trained: LoraFile, tmp_path: Path) -> None:
    path, module = fused(base, trained)[0]
    [(qkv, whole), *_] = [each for each in fused(base, trained) if each[0].endswith("qkv")]
    stem, first = f"lora_unet_{underscored(path)}", f"lora_unet_{underscored(qkv)}"
    known = {f"{stem}.lora_down.weight": module.down, f"{stem}.lora_up.weight": module.up}

    def product(name: str, rows: int) -> dict[str, torch.Tensor]:
        return {
            f"{name}.lora_down.weight": whole.down.clone(),
            f"{name}.lora_up.weight": torch.ones(rows, RANK),
        }

    source = tmp_path / "a.safetensors"
    assert f"{stem}x" in refused(source, known | product(f"{stem}x", 8), base)
    assert "lora_te_model_layers_0" in refused(
        source, known | product("lora_te_model_layers_0_mlp_up_proj", 8), base
    )
    assert "cannot be divided by 3" in refused(source, product(first, 31), base)
    assert f"{stem}.other" in refused(source, known | {f"{stem}.other": torch.ones(1)}, base)
    apart_name = next(iter(paths(base, trained.modules)))
    assert "change the same module" in refused(
        source, product(first, whole.shape[0]) | product(f"lora_unet_{underscored(apart_name)}", 32), base
    )
    columns = {f"{first}.dora_scale": torch.ones(1, whole.shape[1])} | product(first, whole.shape[0])
    assert f"'{first}' is a DoRA of several modules together" in refused(source, columns, base)


def test_a_family_and_its_distilled_model_take_each_others_loras(
    base: BaseModel, trained: LoraFile, tmp_path: Path
) -> None:
    folder = tmp_path / "distilled"
    if base.family.name == "z-image":
        tiny_transformers.z_image(folder, shift=3.0)
    else:
        tiny_transformers.flux2_klein(folder, is_distilled=True)
    distilled = loading.hold(specs.find(str(folder)))
    assert distilled.family is not base.family
    kohya.write(tmp_path / "a.safetensors", trained.modules, {}, torch.float32)
    with merged(distilled, [(formats.read(tmp_path / "a.safetensors"), 1.0)]):
        pass


def test_a_recipe_takes_a_lora_of_the_family_but_no_other(
    base: BaseModel, trained: LoraFile, tmp_path: Path
) -> None:
    """The project draws with the distilled model; its LoRA was trained on the base model."""
    folder, picture = tmp_path / "distilled", tmp_path / "anna.png"
    if base.family.name == "z-image":
        tiny_transformers.z_image(folder, shift=3.0)
    else:
        tiny_transformers.flux2_klein(folder, is_distilled=True)
    Image.new("RGB", (64, 64), "red").save(picture)
    recipe = '[[recipe]]\nkind = "compose"\ncount = 1\nloras = [{ lora = "style.safetensors" }]\n'
    workspace = open_workspace(tmp_path / "workspace")
    project = create(workspace, "anna", picture, "woman, red apple", str(folder), recipe)
    catalog = Catalog(workspace.catalog_url)
    kohya.write(project.folder / "style.safetensors", trained.modules, {}, torch.float32)
    assert [use.name for use in inputs.gather(project, catalog).loras.values()] == ["style"]
    other = {"lora_te2_x.lora_down.weight": torch.zeros(1, 1)}
    save_file(other, project.folder / "style.safetensors")
    with pytest.raises(UserError, match="is of Stable Diffusion XL"):
        inputs.gather(project, catalog)


def test_inspect_names_the_family_and_counts_the_modules(
    base: BaseModel,
    trained: LoraFile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sid = sid_command.in_this_process(monkeypatch, capsys)
    path, count = tmp_path / "a.safetensors", len(trained.modules)
    kohya.write(path, trained.modules, {}, torch.float32)
    code, out, _ = sid("lora", "inspect", str(path), "--base", base.spec.source, "--json")
    facts = json.loads(out)
    assert (code, facts["family"], facts["format"], facts["drawable"]) == (0, base.family.name, "kohya", True)
    assert (facts["modules"], facts["ranks"], facts["alphas"]) == (
        {"transformer": count}, {f"{RANK}": count}, {f"{ALPHA:g}": count},
    )  # fmt: skip
    assert (facts["base"]["fitting"], facts["base"]["modules"]) == (count, count)
    _, out, _ = sid("lora", "inspect", str(path), "--base", base.spec.source)
    assert f"{count} of {count} modules fit" in out
    code, _, _ = sid("lora", "convert", str(path), str(tmp_path / "b.safetensors"), "--to", "comfyui")
    assert code == 0
    assert all(name.startswith("diffusion_model.") for name in load_file(tmp_path / "b.safetensors"))
