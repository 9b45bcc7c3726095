"""Training: the loss, each snapshot with its file, what the adviser measured, and the samples."""

from pathlib import Path

import streamlit as st

from bootstrap.catalog import advices, generations, trainings
from bootstrap.catalog.advices import Advice
from bootstrap.catalog.trainings import Training
from bootstrap.project.projects import Project
from review_app.components import markup
from review_app.links import button
from review_app.workspace import catalog_of


def show(project: Project) -> None:
    """Show the page."""
    markup.heading(project.name, "Training")
    catalog = catalog_of(project)
    found = {
        one.number: training
        for one in generations.statuses(catalog, project.name)
        if (training := trainings.of_generation(catalog, project.name, one.number)) and training.snapshots
    }
    if not found:
        with st.container(border=True, key="nothing-yet"):
            st.subheader("Nothing trained yet", anchor=False)
            st.write("Each generation trains a LoRA on the dataset. Its loss and its snapshots appear here.")
            button("generations", "Start a generation", ":material/play_arrow:")
        return
    _losses(found)
    number = max(found)
    if len(found) > 1:
        number = st.segmented_control(
            "Generation", list(found), default=number, required=True, key=f"training of {project.name}",
            format_func=lambda one: f"Generation {one}", label_visibility="collapsed",
        )  # fmt: skip
    _training(project, number or max(found), found[number or max(found)])


def _losses(found: dict[int, Training]) -> None:
    st.subheader("Loss", anchor=False)
    rows = [
        {"epoch": one.epoch, "loss": one.loss, "generation": f"Generation {number}"}
        for number, training in found.items()
        for one in training.snapshots
    ]
    st.line_chart(
        rows, x="epoch", y="loss", color=_color(found), height=260, y_label="mean loss of the epoch"
    )


def _color(found: dict[int, Training]) -> str | None:
    return "generation" if len(found) > 1 else None  # one line needs no legend


def _training(project: Project, number: int, training: Training) -> None:
    st.subheader(f"Generation {number}: {len(training.snapshots)} snapshots", anchor=False)
    if training.generation != number:
        st.caption(
            f"The dataset was the same, so it draws with the training of generation {training.generation}."
        )
    pictures = [("pictures", str(len(training.dataset))), ("steps", str(training.steps))]
    told = [("rank", "network_dim"), ("UNet LR", "unet_lr"), ("optimizer", "optimizer")]
    settings = [(name, str(training.settings[key])) for name, key in told if key in training.settings]
    markup.show(markup.counts([*pictures, *settings]))
    advice = advices.of_training(catalog_of(project), project.name, training.training_id)
    markup.show(markup.table(*_snapshots(training, advice)))
    folder = (project.folder / training.snapshots[0].path).parent
    st.caption(f"Files: {markup.plain(str(folder))}")
    _picture(
        folder / "snapshots.png",
        "Closeness and flexibility",
        f"Which snapshots to draw with is not measured yet. A recipe whose snapshot is auto does it, or in a terminal: "
        f"sid advise {project.name}",
    )
    _picture(
        folder / "samples.png",
        "Samples",
        "No samples: set sample prompts under Settings, Training, and each snapshot draws them.",
    )


def _snapshots(training: Training, advice: Advice | None) -> tuple[list[str], list[list[str]]]:
    names = ["Snapshot", "Loss", "File"]
    rows = [[str(one.epoch), f"{one.loss:.4f}", one.path.name] for one in training.snapshots]
    if advice is not None:
        names[2:2] = ["Closeness", "Flexibility", "Good for"]
        measured = {one.epoch: one for one in advice.measurements}
        for row, one in zip(rows, training.snapshots, strict=True):
            found = measured.get(one.epoch)
            numbers = [f"{found.closeness:.2f}", f"{found.flexibility:.2f}"] if found else ["", ""]
            row[2:2] = [*numbers, _good_for(one.epoch, advice)]
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
