"""Training: the loss, each snapshot with its file, the adviser's measurements, and the samples."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from bootstrap import reading
from bootstrap.catalog import advices, generations, trainings
from bootstrap.catalog.advices import Advice
from bootstrap.catalog.generations import GenerationStatus
from bootstrap.catalog.states import GenerationState
from bootstrap.catalog.trainings import Snapshot, Training
from bootstrap.commands import command
from bootstrap.project.generation import Generation
from bootstrap.project.projects import Project
from bootstrap.training import loss_curve
from review_app.components import charts, going_on, markup
from review_app.links import button
from review_app.phases import BUSY, Phase
from review_app.urls import snapshot_url
from review_app.workspace import catalog_of

_LOSS_SECONDS = 2  # between two looks at the loss of a running training
_ENDED = (Phase.REVIEW, Phase.GROWN)


def show(project: Project) -> None:
    """Show the page."""
    markup.heading(project.name, "Training")
    catalog = catalog_of(project)
    statuses = generations.statuses(catalog, project.name)
    is_training = bool(statuses) and statuses[-1].state is GenerationState.TRAINING
    what = going_on.show(project, with_pictures=False)
    by_generation = _trainings(project, statuses)
    if not any(training.snapshots for training in by_generation.values()) and what in (Phase.NEW, *_ENDED):
        with st.container(border=True, key="nothing-yet"):
            st.subheader("Nothing trained yet", anchor=False)
            st.write("Each generation trains a LoRA on the dataset. Its loss and its snapshots appear here.")
            button("generations", "Start a generation", ":material/play_arrow:")
        return
    st.fragment(_losses, run_every=_LOSS_SECONDS if is_training and what in BUSY else None)(project)
    trained = {number: training for number, training in by_generation.items() if training.snapshots}
    if not trained:
        return
    number = max(trained)
    if len(trained) > 1:
        number = st.segmented_control(
            "Generation", list(trained), default=number, required=True, key=f"training of {project.name}",
            format_func=lambda number: f"Generation {number}", label_visibility="collapsed",
        )  # fmt: skip
    number = number or max(trained)
    _training(project, number, trained[number])


def _trainings(project: Project, statuses: Sequence[GenerationStatus]) -> dict[int, Training]:
    found = {
        status.number: trainings.of_generation(catalog_of(project), project.name, status.number)
        for status in statuses
    }
    return {number: training for number, training in found.items() if training}


@markup.show_errors()
def _losses(project: Project) -> None:
    statuses = generations.statuses(catalog_of(project), project.name)
    rows: list[dict[str, Any]] = []
    last = 1
    for number, training in _trainings(project, statuses).items():
        points = _curve(project, training)
        rows += [{"step": step, "loss": loss, "generation": f"Generation {number}"} for step, loss in points]
        last = max(last, training.steps, *(step for step, _ in points))
    if statuses and statuses[-1].stage == "train":
        last = max(last, statuses[-1].total)
    if not rows:
        return
    st.subheader("Loss", anchor=False)
    several = len({row["generation"] for row in rows}) > 1
    charts.losses(rows, "step", "step", last, "generation" if several else None)


def _curve(project: Project, training: Training) -> list[tuple[int, float]]:
    """Return the loss over the steps; of trainings of older versions, the mean of each snapshot's epoch."""
    owner = Generation(project, catalog_of(project), training.generation)
    points = loss_curve.read(owner.folder / f"training-{training.training_id[:8]}")
    if points or not training.snapshots:
        return points
    of_epoch = training.steps / training.snapshots[-1].epoch
    return [(round(of_epoch * snapshot.epoch), snapshot.loss) for snapshot in training.snapshots]


def _training(project: Project, number: int, training: Training) -> None:
    st.subheader(f"Generation {number}: {len(training.snapshots)} snapshots", anchor=False)
    if training.generation != number:
        st.caption(
            f"The dataset did not change, so this generation draws with the training of generation "
            f"{training.generation}."
        )
    pictures = [("pictures", str(len(training.dataset))), ("steps", str(training.steps))]
    labels = [("rank", "network_dim"), ("UNet LR", "unet_lr"), ("optimizer", "optimizer")]
    settings = [(name, str(training.settings[key])) for name, key in labels if key in training.settings]
    markup.show(markup.counts([*pictures, *settings]))
    advice = advices.of_training(catalog_of(project), project.name, training.training_id)
    markup.show(markup.table(*_snapshots(project, training, advice)))
    folder = reading.inside(project.folder, training.snapshots[0].path, "the generation's LoRA").parent
    st.caption(f"Files: {markup.plain(str(folder))}")
    _picture(
        folder / "snapshots.png",
        "Closeness and flexibility",
        "Not measured yet. A recipe with snapshot auto measures which snapshots to draw with, as does this command: "
        + command("advise", project.name),
    )
    _picture(
        folder / "samples.png",
        "Samples",
        "No samples. Set sample prompts under Settings, Training; each snapshot of the next training draws them.",
    )


def _snapshots(
    project: Project, training: Training, advice: Advice | None
) -> tuple[list[str], list[list[str]]]:
    names = ["Snapshot", "Loss", "File"]
    rows = [
        [str(snapshot.epoch), f"{snapshot.loss:.4f}", _download(project, snapshot)]
        for snapshot in training.snapshots
    ]
    if advice is not None:
        names[2:2] = ["Closeness", "Flexibility", "Good for"]
        measured = {measurement.epoch: measurement for measurement in advice.measurements}
        for row, snapshot in zip(rows, training.snapshots, strict=True):
            measurement = measured.get(snapshot.epoch)
            numbers = (
                [f"{measurement.closeness:.2f}", f"{measurement.flexibility:.2f}"]
                if measurement
                else ["", ""]
            )
            row[2:2] = [*numbers, _good_for(snapshot.epoch, advice)]
    return names, rows


def _download(project: Project, snapshot: Snapshot) -> markup.Markup:
    """Return a link to a snapshot's file; if the file is gone, its name alone."""
    name = snapshot.path.name
    if not (project.folder / snapshot.path).is_file():
        return markup.element("span", f"{name} (missing)")
    return markup.element("a", name, href=snapshot_url(project, snapshot), download=name)


def _good_for(epoch: int, advice: Advice) -> str:
    uses = [
        ("vary", advice.variation),
        ("eliminate, add, replace", advice.middle),
        ("replicate", advice.replication),
    ]
    return "; ".join(use for use, snapshot in uses if snapshot == epoch)


def _picture(path: Path, title: str, otherwise: str) -> None:
    st.subheader(title, anchor=False)
    if path.is_file():
        st.image(str(path))
    else:
        st.caption(markup.plain(otherwise))
