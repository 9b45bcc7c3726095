"""Find and check what recipes need besides the project's own LoRA, before any model is loaded."""

from bootstrap import images, reading
from bootstrap.catalog import Catalog, generations, trainings
from bootstrap.catalog.trainings import Snapshot, Training
from bootstrap.commands import command
from bootstrap.errors import UserError
from bootstrap.files import path_of, sha256_of_file
from bootstrap.lora import header
from bootstrap.models import specs
from bootstrap.models.family import Family
from bootstrap.project.projects import Project
from bootstrap.recipes.needs import Box, Inputs, LoraKey, OtherLora, fitted_box
from bootstrap.recipes.recipe import check_tag
from bootstrap.shots import LoraUse, PictureUse


def gather(project: Project, catalog: Catalog) -> Inputs:
    """Return the files, LoRAs and base models that the recipes of a project need.

    Raises:
        UserError: one line that names what is missing or does not fit: a mask, a box outside the original, a LoRA or
            base model, or a tag that another project's caption lacks.
    """
    original, size = None, (0, 0)
    masks: dict[str, PictureUse] = {}
    loras: dict[LoraKey, LoraUse] = {}
    base_models: dict[str, str] = {}
    for recipe in project.settings.recipe:
        needs = recipe.needs()
        if needs.original:
            original = PictureUse(project.original.name, sha256_of_file(project.original))
            size = images.size_of(project.original)
        for area in needs.areas:
            if isinstance(area, str):
                masks[area] = _mask(project, recipe.kind, area, size)
            else:
                _check_box(project, recipe.kind, area, size)
        for other in needs.loras:
            if other.is_file:
                loras[other.key] = _file(project, recipe.kind, other)
            else:
                loras[other.key] = _of_project(project, catalog, recipe.kind, other)
        for name in needs.base_models:
            base_models[name] = _base_model(project, recipe.kind, name)
    _check_names(loras)
    sizes = specs.geometry(project.base_model)
    return Inputs(original, size, masks, loras, base_models, max(8, sizes.side_step) if sizes else 8)


def _check_box(project: Project, kind: str, box: Box, size: tuple[int, int]) -> None:
    if box[0] + box[2] > size[0] or box[1] + box[3] > size[1]:
        raise UserError(
            f"recipe '{kind}': the box {list(box)} (x, y, width, height) reaches beyond the original, which is "
            f"{size[0]}x{size[1]}; make it smaller"
        )
    drawing = project.settings.drawing
    # Unless both are set, the picture has the original's proportions, and almost nothing is cropped.
    if drawing.width and drawing.height:
        fitted_box(kind, box, size, (drawing.width, drawing.height))


def _mask(project: Project, kind: str, name: str, size: tuple[int, int]) -> PictureUse:
    path = project.folder / path_of(name, f"recipe '{kind}': mask")
    if not path.is_file():
        raise UserError(
            f"recipe '{kind}': there is no mask {path}; its path is relative to the project's folder"
        )
    picture = images.open_picture(path)
    if picture.size != size:
        raise UserError(
            f"recipe '{kind}': the mask {name} is {picture.width}x{picture.height}, the original {size[0]}x{size[1]}; "
            "make them the same size"
        )
    if not any(picture.convert("L").histogram()[128:]):
        raise UserError(f"recipe '{kind}': the mask {name} has no white; only white parts are redrawn")
    return PictureUse(name, sha256_of_file(path))


def _file(project: Project, kind: str, other: OtherLora) -> LoraUse:
    if other.generation is not None or other.snapshot is not None:
        raise UserError(f"recipe '{kind}': {other.lora} is a file: leave out its generation and snapshot")
    path = project.folder / path_of(other.lora, f"recipe '{kind}': LoRA")
    _check_family(project, header.family_of(path), f"the LoRA {other.lora}")
    return LoraUse(path.stem, "", 0, 1.0, sha256=sha256_of_file(path), source=other.lora)


def _of_project(project: Project, catalog: Catalog, kind: str, other: OtherLora) -> LoraUse:
    owner = project.workspace.project(other.lora)
    caption = owner.settings.project.tags
    for tag in other.tags:
        try:
            check_tag(
                tag, caption, f"recipe '{kind}': project '{owner.name}' has no tag '{tag}' in its caption"
            )
        except ValueError as error:
            raise UserError(str(error)) from None
    _check_family(project, specs.family(owner.base_model), f"the LoRA of project '{owner.name}'")
    training = _training(owner, catalog, kind, other.generation)
    snapshot = _snapshot(training, owner, kind, other.snapshot)
    path = reading.inside(owner.folder, snapshot.path, f"recipe '{kind}': the LoRA of '{owner.name}'")
    if not path.is_file():
        raise UserError(
            f"recipe '{kind}': the LoRA {path} is gone; `{command('run', owner.name)}` trains it again"
        )
    return LoraUse(snapshot.path.stem, snapshot.training_id, snapshot.epoch, 1.0, source=owner.name)


def _training(owner: Project, catalog: Catalog, kind: str, generation: int | None) -> Training:
    """Return the finished training of a generation; None: the latest finished one."""
    latest = generations.latest(catalog, owner.name) or 0
    for number in [generation] if generation else range(latest, 0, -1):
        training = trainings.of_generation(catalog, owner.name, number) if number <= latest else None
        if training is not None and training.finished:
            return training
    which = f"generation {generation}" if generation else "generation"
    raise UserError(
        f"recipe '{kind}': project '{owner.name}' has no trained {which} yet; train it first "
        f"(`{command('run', owner.name)}`)"
    )


def _snapshot(training: Training, owner: Project, kind: str, epoch: int | None) -> Snapshot:
    epochs = [snapshot.epoch for snapshot in training.snapshots]
    if epoch is not None and epoch not in epochs:
        raise UserError(f"recipe '{kind}': project '{owner.name}' has snapshots {epochs}, and no {epoch}")
    return training.snapshots[epochs.index(epoch) if epoch else -1]


def named_base_models(project: Project) -> set[str]:
    """Return the names of the base models that project.toml names: the project's own and those of its recipes."""
    of_recipes = {name for recipe in project.settings.recipe for name in recipe.needs().base_models}
    return {project.base_model.name, *of_recipes}


def _base_model(project: Project, kind: str, name: str) -> str:
    spec = specs.find(name)
    own, family = specs.family(project.base_model), specs.family(spec)
    if own is not None and family is not None and own is not family:
        raise _other_family(project, own, family, f"the base model {name} of recipe '{kind}'")
    return specs.content_hash(spec)


def _check_family(project: Project, family: Family | None, what: str) -> None:
    """Refuse a LoRA that the project's base model cannot take; None: its family is not known yet."""
    own = specs.family(project.base_model)
    if own is not None and family is not None and own.lora_family != family.lora_family:
        raise _other_family(project, own, family, what)


def _other_family(project: Project, own: Family, family: Family, what: str) -> UserError:
    return UserError(
        f"{what} is of {family.title}, this project's base model {project.base_model.name} is {own.title}; "
        "use one of the same family"
    )


def _check_names(loras: dict[LoraKey, LoraUse]) -> None:
    """Refuse two LoRA files of one name: infotext identifies a LoRA by its file name alone."""
    named: dict[str, LoraUse] = {}
    for use in loras.values():
        first = named.setdefault(use.name, use)
        if (first.training_id, first.sha256) != (use.training_id, use.sha256):
            raise UserError(f"recipe 'compose': two LoRA files are named {use.name}; rename one of them")
