"""Draw the sample prompts with each snapshot of a training, as one sheet with a row per snapshot."""

from bootstrap import reading
from bootstrap.drawing import engine, sheet
from bootstrap.drawing.candidate_drawing import open_loras
from bootstrap.drawing.networks import with_networks
from bootstrap.files import whole_file, write_text
from bootstrap.models import loading
from bootstrap.pictures import contact_sheet
from bootstrap.pictures.contact_sheet import Cell
from bootstrap.planning.extra_networks import Shelf
from bootstrap.progress import Progress, Report
from bootstrap.project.generation import Generation


def draw_samples(generation: Generation, report: Report) -> None:
    """Draw training.sample_prompts with each snapshot at strength 1.0, all with one seed.

    Writes samples.png into the training's folder, unless these samples exist already.
    """
    project, training = generation.project, generation.training()
    if training is None or not training.finished:
        raise RuntimeError(f"{generation} has no finished training")
    base, settings = loading.hold(project.base_model), project.settings
    shots = [
        sheet.with_value(sheet.common_shot(generation, base, training, prompt), "snapshot", snapshot.epoch)
        for snapshot in training.snapshots
        for prompt in settings.training.sample_prompts
    ]
    shots = with_networks(base, Shelf.of(project), shots)
    folder = reading.inside(project.folder, training.snapshots[0].path, f"{generation}: its LoRA").parent
    path, ids_path = folder / "samples.png", folder / "samples.txt"
    ids = "\n".join(shot.id for shot in shots) + "\n"
    if path.is_file() and ids_path.is_file() and reading.text_file(ids_path, str(ids_path)) == ids:
        return
    pictures = {}
    loras = open_loras(generation, training, shots)
    for batch in engine.draw_batches(base, shots, loras, settings.drawing.batch_size):
        pictures.update({drawing.shot.id: drawing.picture for drawing in batch})
        report(Progress("samples", len(pictures), len(shots), "pictures"))
    cells = [Cell(pictures[shot.id], (f"snapshot {shot.snapshot}", shot.prompt)) for shot in shots]
    title = f"{project.name}, generation {generation.number}: samples"
    with whole_file(path) as temporary:
        contact_sheet.compose(title, cells, len(settings.training.sample_prompts)).save(
            temporary, format="PNG"
        )
    write_text(ids_path, ids)
