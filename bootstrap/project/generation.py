"""One generation of a project: its folder and its view of the catalog."""

from dataclasses import dataclass
from pathlib import Path

from bootstrap.catalog import Catalog, candidates, generations, trainings
from bootstrap.catalog.candidates import Candidate, Counts
from bootstrap.catalog.generations import GenerationStatus
from bootstrap.catalog.states import CandidateState, GenerationState, Verdict
from bootstrap.catalog.trainings import Training
from bootstrap.project.projects import Project
from bootstrap.project.settings import Settings


@dataclass(frozen=True)
class Generation:
    """One turn of a project's loop; creating this object reads nothing."""

    project: Project
    catalog: Catalog
    number: int  # from 1

    def __str__(self) -> str:
        return f"generation {self.number} of '{self.project.name}'"

    @property
    def settings(self) -> Settings:
        """The project's settings."""
        return self.project.settings

    @property
    def folder(self) -> Path:
        """The folder of this generation's files."""
        return self.project.generation_folder(self.number)

    @property
    def candidates_folder(self) -> Path:
        """The folder of this generation's pictures."""
        return self.folder / "candidates"

    @property
    def state(self) -> GenerationState:
        """How far this generation has come."""
        return generations.state_of(self.catalog, self.project.name, self.number)

    def set_state(self, state: GenerationState, message: str = "") -> None:
        """Move this generation to a state.

        Args:
            message: why it failed, if it did.

        Raises:
            RuntimeError: this state may not follow the current one.
        """
        generations.set_state(self.catalog, self.project.name, self.number, state, message)

    def status(self) -> GenerationStatus:
        """Return its progress and the counts of its candidates."""
        statuses = generations.statuses(self.catalog, self.project.name)
        return next(status for status in statuses if status.number == self.number)

    def training(self) -> Training | None:
        """Return the training that it draws with, None before that training has begun."""
        return trainings.of_generation(self.catalog, self.project.name, self.number)

    def candidates(
        self,
        state: CandidateState | None = CandidateState.PUBLISHED,
        verdict: Verdict | None = None,
        ranked: bool = False,
    ) -> list[Candidate]:
        """Return its candidates; see bootstrap.catalog.candidates.candidates."""
        return candidates.candidates(
            self.catalog,
            self.project.name,
            generation=self.number,
            state=state,
            verdict=verdict,
            ranked=ranked,
        )

    def counts(self) -> Counts:
        """Return how many of its candidates have which verdict."""
        return candidates.counts(self.catalog, self.project.name, self.number)
