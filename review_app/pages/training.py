"""Training: the loss, each snapshot with its file, the adviser's measurements, and the samples."""

from pathlib import Path

import streamlit as st

from bootstrap import reading
from bootstrap.catalog import advices, generations, trainings
from bootstrap.catalog.advices import Advice
from bootstrap.catalog.trainings import Training
from bootstrap.commands import command
from bootstrap.project.projects import Project
from review_app.components import markup
from review_app.links import button
from review_app.workspace import catalog_of


def show(project: Project) -> None:
    """Show the page."""
    markup.heading(project.name, "Training")
    catalog = catalog_of(project)
    by_generation = {
        status.number: training
        for status in generations.statuses(catalog, project.name)
        if (training := trainings.of_generation(catalog, project.name, status.number)) and training.snapshots
    }
    if not by_generation:
        with st.container(border=True, key="nothing-yet"):
            st.subheader("Nothing trained yet", anchor=False)
            st.write("Each generation trains a LoRA on the dataset. Its loss and its snapshots appear here.")
            button("generations", "Start a generation", ":material/play_arrow:")
        return
    _losses(by_generation)
    number = max(by_generation)
    if len(by_generation) > 1:
        number = st.segmented_control(
            "Generation", list(by_generation), default=number, required=True, key=f"training of {project.name}",
            format_func=lambda number: f"Generation {number}", label_visibility="collapsed",
        )  # fmt: skip
    number = number or max(by_generation)
    _training(project, number, by_generation[number])


def _losses(by_generation: dict[int, Training]) -> None:
    st.subheader("Loss", anchor=False)
    rows = [
        {"epoch": snapshot.epoch, "loss": snapshot.loss, "generation": f"Generation {number}"}
        for number, training in by_generation.items()
        for snapshot in training.snapshots
    ]
    color = "generation" if len(by_generation) > 1 else None  # a single line needs no legend
    st.line_chart(rows, x="epoch", y="loss", color=color, height=260, y_label="mean loss of the epoch")


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
    markup.show(markup.table(*_snapshots(training, advice)))
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


def _snapshots(training: Training, advice: Advice | None) -> tuple[list[str], list[list[str]]]:
    names = ["Snapshot", "Loss", "File"]
    rows = [
        [str(snapshot.epoch), f"{snapshot.loss:.4f}", snapshot.path.name] for snapshot in training.snapshots
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
