"""A picture drawn again from its own file: from our shot in it, or from its infotext alone."""

import dataclasses
import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from bootstrap import images
from bootstrap.drawing import engine, infotext, networks, samplers
from bootstrap.drawing.infotext import Infotext
from bootstrap.errors import UserError
from bootstrap.lora import kohya
from bootstrap.models import loading, specs
from bootstrap.models.family import SAMPLERS, BaseModelSpec
from bootstrap.planning.expand import lora_file_name
from bootstrap.planning.extra_networks import content_hash
from bootstrap.project.projects import Workspace
from bootstrap.prompting import embeddings, parse
from bootstrap.recipes.hires import enlarged
from bootstrap.shots import EmbeddingUse, LoraUse, Shot, Start

_EPOCH = re.compile(r"-(\d{6})$")  # at the end of a snapshot's name
# Parameters that we do not have: one more of hires, among them its own prompt and sampler.
_NOT_REDRAWN = ("Hires ", "Refiner", "Variation seed", "Mask blur")
_HIRES = ("Hires upscale", "Hires resize", "Hires steps", "Hires upscaler", "Hires CFG Scale")


@dataclass(frozen=True)
class Changes:
    """What shall be other than in the picture; None: as it was."""

    strength: float | None = None  # of the first LoRA, in all passes
    seed: int | None = None
    snapshot: int | None = None  # of the first LoRA


def redraw(
    workspace: Workspace, path: Path, changes: Changes, base_name: str | None
) -> tuple[Image.Image, Shot, str]:
    """Draw a picture again, and return it with its shot and its infotext.

    Base model, LoRA files and embeddings are found in the workspace by their hashes, wherever they lie there.

    Args:
        path: of a picture of ours, or of another tool that writes infotext.
        changes: None of them gives the same picture within 2/255.
        base_name: as in project.toml; None: the one that the picture was drawn with.

    Raises:
        UserError: the picture says nothing of how it was drawn, or names what is not there.
    """
    text = infotext.text_of(path)
    told = infotext.read(text or "")
    shot = infotext.shot_of(path)
    if shot is None and not told.fields:
        raise UserError(
            f"picture {path}: it carries neither a shot of sid nor infotext, so nobody knows how it was drawn"
        )
    shot = shot or _shot_of(path, told)
    files = _files(workspace)
    shot, paths = _with_loras(shot, told, files, changes)
    known = _embedding_files(workspace)
    shot = shot.in_all_passes(lambda one: dataclasses.replace(one, embeddings=_embeddings(one, told, known)))
    if changes.seed is not None:
        shot = shot.reseeded(changes.seed)
    pictures = _pictures(workspace, path, shot)
    base = loading.hold(_base(workspace, shot, told, base_name))
    shot = shot.in_all_passes(
        lambda one: dataclasses.replace(one, base_model=base.spec.name, base_model_hash=base.hash)
    )
    for one in shot.passes:
        samplers.check(one, base.family)
        if one.width % base.latent_factor or one.height % base.latent_factor:
            raise UserError(
                f"picture {path}: it was {one.width}x{one.height}, {base.spec.name} draws multiples of "
                f"{base.latent_factor}"
            )
    read = {file: networks.open_lora(file) for file in set(paths.values())}
    [[drawing]] = engine.draw(base, [shot], {use: read[file] for use, file in paths.items()}, 1, pictures)
    hashes = {use.name: kohya.model_hash(paths[use]) for use in shot.loras}
    return drawing.picture, shot, infotext.write(shot, base.spec.title, hashes)


def _shot_of(path: Path, told: Infotext) -> Shot:
    """The shot that an infotext tells; its LoRAs and embeddings are not in it yet."""
    if "Denoising strength" in told.fields and not _is_hires(told):
        raise UserError(
            f"picture {path}: it was drawn from another picture, and its infotext does not tell from which"
        )
    for key in told.fields:
        if key.startswith(_NOT_REDRAWN) and key not in _HIRES:
            raise UserError(
                f"picture {path}: it was made with '{key}', which is not there to draw it again with"
            )
    try:
        width, height = _size(told.fields["Size"])
        sampler = told.fields["Sampler"]
        kind = told.fields.get("Schedule type", "")
        if f"{sampler} {kind}" in SAMPLERS:  # A1111 1.9 and later write them apart
            sampler = f"{sampler} {kind}"
        shot = Shot(
            prompt=told.prompt, negative_prompt=told.negative_prompt, seed=int(told.fields["Seed"]) % 2**32,
            steps=int(told.fields["Steps"]), sampler=sampler, cfg_scale=float(told.fields["CFG scale"]),
            width=width, height=height, base_model="", base_model_hash="", loras=(),
            clip_skip=int(told.fields.get("Clip skip", "1")),
        )  # fmt: skip
        return _second_pass(path, shot, told) if _is_hires(told) else shot
    except KeyError as error:
        raise UserError(f"picture {path}: its infotext does not tell {error}") from None
    except ValueError as error:
        raise UserError(f"picture {path}: its infotext has a value that is no number ({error})") from None


def _is_hires(told: Infotext) -> bool:
    return any(key in told.fields for key in ("Hires upscale", "Hires resize"))


def _second_pass(path: Path, first: Shot, told: Infotext) -> Shot:
    """The second pass of hires, which starts from a first one."""
    upscaler = told.fields.get("Hires upscaler", "")
    if upscaler != infotext.UPSCALER:
        raise UserError(
            f"picture {path}: it was enlarged with '{upscaler or 'Latent'}', and only {infotext.UPSCALER} is here"
        )
    if "Hires resize" in told.fields:
        size = _size(told.fields["Hires resize"])
    else:
        size = enlarged((first.width, first.height), float(told.fields["Hires upscale"]))
    return dataclasses.replace(
        first,
        width=size[0],
        height=size[1],
        steps=int(told.fields.get("Hires steps", first.steps)),
        cfg_scale=float(told.fields.get("Hires CFG Scale", first.cfg_scale)),
        start=Start(float(told.fields["Denoising strength"]), shot=first),
    )


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)


def _pictures(workspace: Workspace, path: Path, shot: Shot) -> dict[str, Image.Image]:
    """The pictures that a shot starts from and their masks, by SHA-256: wherever in the workspace they lie."""
    folders = [path.parent, *(workspace.project(name).folder for name in workspace.project_names())]
    found = {}
    for use in shot.pictures:
        there = (folder / Path(use.path).expanduser() for folder in folders)
        file = next((one for one in there if one.is_file() and content_hash(one) == use.sha256), None)
        if file is None:
            raise UserError(
                f"picture {path}: it was drawn from {use.path}, which is not in the workspace as it was then"
            )
        found[use.sha256] = images.open_picture(file)
    return found


def _files(workspace: Workspace) -> list[Path]:
    """The LoRA files of a workspace: those that were put there, and the snapshots of all projects."""
    places = ("loras", "projects/*/loras", "projects/*/generation-*/training-*")
    folders = [folder for place in places for folder in sorted(workspace.folder.glob(place))]
    return [path for folder in folders for path in sorted(folder.rglob("*.safetensors"))]


def _with_loras(
    shot: Shot, told: Infotext, files: list[Path], changes: Changes
) -> tuple[Shot, dict[LoraUse, Path]]:
    """The shot with its LoRAs, changed as asked, and where their files are."""
    hashes = _listed(told.fields.get("Lora hashes", ""))
    if not shot.base_model_hash:  # it is from infotext
        uses = _uses(shot.prompt, hashes, files)
        shot = shot.in_all_passes(lambda one: dataclasses.replace(one, loras=uses))
    paths = {use: _file_of(use, hashes, files) for one in shot.passes for use in one.loras}
    if changes.strength is None and changes.snapshot is None:
        return shot, paths
    if not all(one.loras for one in shot.passes):
        raise UserError("--strength, --snapshot: the picture was drawn without a LoRA")

    def changed(one: Shot) -> Shot:
        first, *others = one.loras
        use, file = _changed(first, paths[first], changes)
        paths[use] = file
        prompt = one.prompt
        if first.in_prompt:
            prompt = re.sub(
                rf"<(lora|lyco):{re.escape(first.name)}(:[^>]*)?>",
                lambda _: f"<lora:{use.name}:{use.strength:g}>", prompt, count=1,
            )  # fmt: skip
        return dataclasses.replace(one, prompt=prompt, loras=(use, *others))

    return shot.in_all_passes(changed), paths


def _changed(use: LoraUse, path: Path, changes: Changes) -> tuple[LoraUse, Path]:
    """A LoRA with the snapshot and strength that are asked for, and its file."""
    if changes.snapshot is not None:
        path = _snapshot_beside(path, changes.snapshot)
        if use.sha256:
            use = dataclasses.replace(use, name=path.stem, sha256=content_hash(path))
        else:
            use = dataclasses.replace(use, name=path.stem, snapshot=changes.snapshot)
    if changes.strength is not None:
        use = dataclasses.replace(use, strength=changes.strength, te_strength=None)
    return use, path


def _uses(prompt: str, hashes: dict[str, str], files: list[Path]) -> tuple[LoraUse, ...]:
    """The LoRAs that a prompt names, of which infotext tells the hashes."""
    uses = []
    for network in parse.extra_networks(prompt)[1]:
        if network.is_lora:
            try:
                unet, te = network.strengths
            except ValueError:
                raise UserError(f"<lora:{network.name}>: its strength is no number") from None
            named = LoraUse(network.name, "", 0, unet, None if te == unet else te)
            uses.append(dataclasses.replace(named, sha256=content_hash(_file_of(named, hashes, files))))
    return tuple(uses)


def _file_of(use: LoraUse, hashes: dict[str, str], files: list[Path]) -> Path:
    """The file of a LoRA: by its content, by the hash that infotext tells, or else as the training's snapshot."""
    named = [path for path in files if path.stem == use.name]
    told = hashes.get(infotext.without_marks(use.name), "")
    for path in [*named, *(path for path in files if path not in named)]:
        if use.sha256:
            if content_hash(path) == use.sha256:
                return path
        elif told and kohya.model_hash(path).startswith(told):
            return path
    for path in named:  # trained again after it was deleted: the same, but for the time in it
        if use.training_id and path.parent.name == f"training-{use.training_id[:8]}":
            return path
    if named and not told and not use.sha256:
        return named[0]
    near = difflib.get_close_matches(use.name, [path.stem for path in files], n=3, cutoff=0.5)
    of = f" with the hash {(told or use.sha256)[:12]}" if told or use.sha256 else ""
    hint = f" (names like it: {', '.join(near)})" if near else ""
    raise UserError(f"LoRA {use.name}: no file{of} is in the workspace; put it into its folder 'loras'{hint}")


def _snapshot_beside(path: Path, epoch: int) -> Path:
    match = _EPOCH.search(path.stem)
    other = path.with_stem(lora_file_name(path.stem[: match.start()], epoch)) if match else None
    if other is None or not other.is_file():
        known = sorted(
            int(found[1])
            for one in path.parent.glob("*.safetensors")
            if match
            and one.stem.startswith(path.stem[: match.start()])
            and (found := _EPOCH.search(one.stem))
        )
        raise UserError(
            f"--snapshot {epoch}: {path.parent} has no such snapshot of {path.stem} (there are {known})"
        )
    return other


def _embedding_files(workspace: Workspace) -> list[Path]:
    folders = [workspace.folder / "embeddings", *sorted(workspace.folder.glob("projects/*/embeddings"))]
    return [path for folder in folders for path in sorted(folder.rglob("*.safetensors"))]


def _embeddings(shot: Shot, told: Infotext, files: list[Path]) -> tuple[EmbeddingUse, ...]:
    """The shot's embeddings, read into memory."""
    listed = _listed(told.fields.get("TI hashes", ""))
    uses: Iterable[tuple[str, str]] = [(use.name, use.sha256) for use in shot.embeddings]
    if not shot.base_model_hash:
        uses = sorted(listed.items())
    found = []
    for name, hash_ in uses:
        first = sorted(files, key=lambda path: path.stem != name)
        path = next((path for path in first if content_hash(path).startswith(hash_)), None)
        if path is None:
            raise UserError(
                f"embedding {name}: no file with the hash {hash_[:12]} is in the workspace; put it into its folder "
                "'embeddings'"
            )
        found.append(embeddings.hold(path, name).use)
    return tuple(found)


def _base(workspace: Workspace, shot: Shot, told: Infotext, asked: str | None) -> BaseModelSpec:
    """The base model that was asked for, or the one that the picture was drawn with."""
    if asked is not None:
        return specs.find(asked)
    wanted = shot.base_model_hash or told.fields.get("Model hash", "")
    title = told.fields.get("Model", "")
    known = _known_bases(workspace, shot.base_model)
    for spec in sorted(known, key=lambda one: one.title != title):  # a hash of gigabytes takes a while
        if specs.content_hash(spec).startswith(wanted) if wanted else spec.title == title:
            return spec
    raise UserError(
        f"base model '{shot.base_model or title}' with the hash {wanted[:10] or '(none told)'}: no project here "
        "has it; name one with --base"
    )


def _known_bases(workspace: Workspace, name: str) -> list[BaseModelSpec]:
    found: list[BaseModelSpec] = []
    for one in [name, *specs.embedded_names()]:
        try:
            found += [specs.find(one)] if one else []
        except UserError:
            continue  # it was somewhere else then
    for project in workspace.project_names():
        try:
            found.append(workspace.project(project).base_model)
        except UserError:
            continue  # a project with a mistake in it is no reason not to look at the others
    return list(dict.fromkeys(found))


def _listed(text: str) -> dict[str, str]:
    """Read `name: hash, name: hash`."""
    pairs = [one.rpartition(":") for one in text.split(",")]
    return {name.strip(): hash_.strip() for name, colon, hash_ in pairs if colon and hash_.strip()}
