"""What an infotext carries that sid does not honour, by name: whatever is not on the list of honoured fields.

Does not import torch.
"""

from bootstrap.drawing.infotext import Infotext
from bootstrap.drawing.infotext_sampler import OWN_VERSION
from bootstrap.prompting import parse
from bootstrap.shots import Shot

_HONOURED = {
    "Steps", "Sampler", "Schedule type", "CFG scale", "Seed", "Size", "Model hash", "Model", "Clip skip",
    "Denoising strength", "Hires upscale", "Hires resize", "Hires steps", "Hires upscaler", "Hires CFG Scale",
    "Lora hashes", "TI hashes",
}  # fmt: skip
# What says nothing about the picture itself; each picture of a batch has a seed of its own.
_OF_NO_MATTER = {"Version", "User", "Batch size", "Batch pos", "Created Date"}
# Fields that say, with this value, what sid does anyway.
AS_ALWAYS = {
    ("RNG", "CPU"),
    ("Emphasis", "Original"),
    ("Hires Module 1", "Use same choices"),  # Forge writes these three also where nothing differs
    ("Hires sampler", "Use same sampler"),
    ("Hires schedule type", "Use same scheduler"),
}
_INPAINTED = {"Mask blur", "Inpaint area", "Masked area padding"}  # sid itself writes them beside its shot


def unused(parameters: Infotext) -> list[str]:
    """Return the names of the fields, and the extra networks of the prompt, that a redrawn picture goes without."""
    known = _HONOURED | _OF_NO_MATTER
    if parameters.fields.get("Version") == OWN_VERSION:
        known = known | _INPAINTED
    found = [
        name
        for name, value in parameters.fields.items()
        if name not in known and (name, value) not in AS_ALWAYS
    ]
    for network in parse.extra_networks(parameters.prompt)[
        1
    ]:  # in a negative prompt they are text, as in A1111
        if network.is_lora:
            found += [f"{argument} of <lora:{network.name}>" for argument in network.unused]
        else:
            found.append(f"<{network.kind}:{network.name}>")
    return list(dict.fromkeys(found))


def told(shot: Shot | None, parameters: Infotext) -> list[str]:
    """Return lines that tell a person what another picture comes of, or by which older rule it is drawn.

    Args:
        shot: that the picture carries; unless it was imported, it says everything, and the infotext does not matter.
        parameters: of its infotext.
    """
    lines = []
    if shot is None or shot.imported is not None:
        names = unused(parameters)
        if names:
            lines.append(f"not honoured by sid, so a redrawn picture differs: {', '.join(names)}")
        is_older = parameters.fields.get("Version") == OWN_VERSION and not parameters.fields.get(
            "Schedule type"
        )
    else:
        is_older = any(not each.schedule for each in shot.passes)
    if is_older:
        lines.append(
            "drawn before the schedule was a setting: it keeps the older rule, by which its sampler steps over the "
            "timesteps of the base model's scheduler file"
        )
    return lines
