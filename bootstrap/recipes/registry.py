"""The kinds of recipes, in the order of docs and app. A new kind is a new file here and a line below."""

from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from bootstrap.recipes.add import AddRecipe
from bootstrap.recipes.bootstrap import BootstrapRecipe
from bootstrap.recipes.compose import ComposeRecipe
from bootstrap.recipes.element import ElementRecipe
from bootstrap.recipes.eliminate import EliminateRecipe
from bootstrap.recipes.hires import HiresRecipe
from bootstrap.recipes.inpaint import InpaintRecipe
from bootstrap.recipes.recipe import Recipe
from bootstrap.recipes.reference import ReferenceRecipe
from bootstrap.recipes.replace import ReplaceRecipe
from bootstrap.recipes.replicate import ReplicateRecipe
from bootstrap.recipes.resize import ResizeRecipe
from bootstrap.recipes.restyle import RestyleRecipe
from bootstrap.recipes.vary import VaryRecipe

_KINDS: tuple[type[Recipe], ...] = (
    VaryRecipe,
    EliminateRecipe,
    AddRecipe,
    ReplaceRecipe,
    ReplicateRecipe,
    ReferenceRecipe,
    ElementRecipe,
    ResizeRecipe,
    RestyleRecipe,
    ComposeRecipe,
    HiresRecipe,
    InpaintRecipe,
    BootstrapRecipe,
)
RECIPES: dict[str, type[Recipe]] = {model.model_fields["kind"].default: model for model in _KINDS}
USUAL: tuple[Recipe, ...] = (VaryRecipe(), EliminateRecipe())  # recipes of a project that names none

if TYPE_CHECKING:
    AnyRecipe = Recipe
else:  # a `[[recipe]]` table is of the kind that it names
    AnyRecipe = Annotated[Union[_KINDS], Field(discriminator="kind")]  # noqa: UP007  (a tuple)
