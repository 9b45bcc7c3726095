"""The training station: from a project's dataset to the snapshots of a generation, files and catalog rows."""

import re
from datetime import datetime
from typing import Literal

import torch

from bootstrap.catalog import trainings
from bootstrap.catalog.trainings import Snapshot
from bootstrap.dataset.class_pictures import ClassPicture
from bootstrap.files import remove_file, sha256_of_file
from bootstrap.lora import kohya, metadata
from bootstrap.lora.metadata import TrainingFacts
from bootstrap.models import loading, specs
from bootstrap.models.family import BaseModel
from bootstrap.progress import Report
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project
from bootstrap.project.settings import TrainingSection
from bootstrap.training import loss_curve, record, schedule, trainer
from bootstrap.training.examples import examples_of, id_of, output_name
from bootstrap.training.identity import Example
from bootstrap.training.record import Record

_PRECISIONS: dict[torch.dtype, Literal["no", "fp16", "bf16"]] = {
    torch.float32: "no",
    torch.float16: "fp16",
    torch.bfloat16: "bf16",
}


def train_snapshots(generation: Generation, class_pictures: list[ClassPicture], report: Report) -> None:
    """Train the generation's LoRA, unless the same training has already finished.

    Args:
        class_pictures: the regularization pictures; empty without regularization.

    Raises:
        UserError: a picture or the base model cannot be read, or the settings make the loss diverge.
    """
    project, catalog, number = generation.project, generation.catalog, generation.number
    settings = project.settings.training
    base = loading.hold(project.base_model)
    examples = examples_of(project, catalog, base, class_pictures)
    training_id = id_of(examples, base.spec, base.hash, settings)
    described_dataset = [
        {"picture": example.picture_sha256, "caption": example.caption, "repeats": example.repeats}
        for example in examples
        if not example.is_regularization
    ]
    started_at = trainings.begin(
        catalog, project.name, number, training_id, settings.recorded(), described_dataset
    )
    folder = generation.folder / f"training-{training_id[:8]}"
    state_file = folder / "state.safetensors"
    if _is_complete(generation):
        remove_file(state_file)  # a killed process may have finished everything else
        return
    facts = _facts(project, base, examples, output_name(project, number), training_id, started_at)

    def keep_snapshot(result: trainer.EpochResult) -> None:
        if result.epoch not in settings.snapshots:
            return
        path = folder / f"{facts.output_name}-{result.epoch:06d}.safetensors"
        file_metadata = metadata.build(facts, settings, result.epoch, result.steps)
        is_last = result.epoch == settings.epochs
        file_metadata |= record.to_metadata(
            Record(
                training_id, settings.recorded(), described_dataset, result.seen, result.epoch, result.steps,
                result.loss, is_last,
            )
        )  # fmt: skip
        kohya.write(path, result.modules, file_metadata, torch.float16)
        snapshot = Snapshot(
            training_id, result.epoch, path.relative_to(project.folder), sha256_of_file(path), result.loss
        )
        trainings.add_snapshot(catalog, project.name, snapshot, result.steps, result.seen)

    report = loss_curve.following(folder, report)
    trainer.train(base, examples, settings, state_file, project.folder / "latents", keep_snapshot, report)
    trainings.finish(catalog, project.name, training_id)
    remove_file(state_file)  # several times a snapshot's size, and no longer needed


def _facts(
    project: Project,
    base: BaseModel,
    examples: list[Example],
    name: str,
    training_id: str,
    started_at: datetime,
) -> TrainingFacts:
    settings: TrainingSection = project.settings.training
    dataset = [example for example in examples if not example.is_regularization]
    plan = schedule.Schedule(examples, settings)
    return TrainingFacts(
        output_name=name,
        project=re.sub(r"[^A-Za-z0-9_-]+", "_", project.name),
        base_model_name=specs.file_name(base.spec),
        base_model_hash=specs.hash_of_weights(base.spec),
        base_model_old_hash=specs.old_hash(base.spec),
        prediction_type=base.prediction_type,
        family=base.family,
        captions=[example.caption for example in dataset],
        repeats=[example.repeats for example in dataset],
        sizes=[example.size for example in dataset],
        reg_images=len(examples) - len(dataset),
        batches_per_epoch=plan.steps_per_round,
        total_steps=plan.total_steps,
        training_id=training_id,
        precision=_PRECISIONS[trainer.precision_of(settings, base.device)],
        zero_terminal_snr=bool(base.scheduler_config.get("rescale_betas_zero_snr")),
        clip_skip=settings.clip_skip if settings.clip_skip > 1 and specs.most_clip_skip(base.spec) else None,
        started_at=started_at,
    )


def _is_complete(generation: Generation) -> bool:
    training = generation.training()
    if training is None or not training.finished:
        return False
    wanted_epochs = generation.settings.training.snapshots
    return [snapshot.epoch for snapshot in training.snapshots] == wanted_epochs and all(
        (generation.project.folder / snapshot.path).is_file() for snapshot in training.snapshots
    )
