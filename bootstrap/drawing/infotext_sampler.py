"""The sampler and the noise schedule that an infotext names, in the spellings that tools have used over the years.

Sources: stable-diffusion-webui, modules/sd_samplers.py `get_sampler_and_scheduler`, modules/sd_schedulers.py (1.9 and
later) and modules/sd_samplers_kdiffusion.py (1.6 to 1.8, `k_sched_type`); ComfyUI, comfy/samplers.py.
"""

import re
from collections.abc import Mapping

from bootstrap.errors import UserError, in_one_line
from bootstrap.models.family import AUTOMATIC, SAMPLERS, SCHEDULES


def _key(name: str) -> str:
    """Return a schedule's name as it is looked up, however it is spelled."""
    return name.lower().replace(" ", "").replace("_", "")


OWN_VERSION = "sid"  # of the field Version, in what sid writes
# A1111's titles and names, and ComfyUI's, by _key.
_SCHEDULES = {_key(schedule): schedule for schedule in SCHEDULES} | {
    "uniform": "Normal",
    "polyexponential": "Exponential",  # its rho is 1 in A1111, which makes both the same
    "ddim": "DDIM uniform",
}
# ComfyUI's names, and those that A1111 takes beside its own.
_COMFYUI = {
    "euler": "Euler", "euler_ancestral": "Euler a", "heun": "Heun", "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE", "dpmpp_2m_sde_gpu": "DPM++ 2M SDE", "dpmpp_sde": "DPM++ SDE",
    "dpmpp_sde_gpu": "DPM++ SDE", "ddim": "DDIM", "uni_pc": "UniPC", "lcm": "LCM",
}  # fmt: skip
_A1111 = {sampler.lower(): sampler for sampler in SAMPLERS}
# Tools that draw with ComfyUI's samplers, of the field Version; those of drawing/metadata/ have A1111's names.
_DRAWN_BY_COMFYUI = ("ComfyUI", "SwarmUI", "Fooocus", "RuinedFooocus")
_WITHOUT_SCHEDULE = ("DDIM", "UniPC")  # A1111 takes no notice of a schedule type for these
# Since this version of A1111, Automatic is each sampler's own schedule, and always written.
_SEPARATE = (1, 9)
_ENDINGS = "|".join([*SCHEDULES, "Uniform", "Polyexponential"]).replace(" ", "[ _]")
_WITH_ENDING = re.compile(f"(.+?)[ _]({_ENDINGS})", re.IGNORECASE)
_VERSION = re.compile(r"v(\d{1,4})\.(\d{1,4})")


def sampler_and_schedule(where: str, fields: Mapping[str, str], tool: str = "") -> tuple[str, str]:
    """Return the sampler and the schedule of a shot that an infotext describes.

    The sampler may be one that sid does not know; drawing/samplers.py refuses it. Without `Schedule type` they are what
    the tool of that time meant: A1111 before 1.9 steps over Normal where no other is named, and sid before the schedule
    was a setting by the older rule, which is "".

    Args:
        where: the beginning of a message.
        fields: of the infotext, with "Sampler".
        tool: that it is from, if not A1111 or sid.

    Raises:
        UserError: sid does not have the schedule, or two contradict each other.
    """
    named, kind = fields["Sampler"].strip(), fields.get("Schedule type", "").strip()
    if fields.get("Version") == OWN_VERSION:
        return named, kind
    version = _VERSION.search(fields.get("Version", ""))
    is_older = version is None or (int(version[1]), int(version[2])) < _SEPARATE
    stem, ending = _parted(named)
    has_comfyuis_name = stem in _COMFYUI and stem not in SAMPLERS
    sampler = _COMFYUI[stem] if has_comfyuis_name else _A1111.get(stem.lower(), stem)
    # ComfyUI and its like take notice of the schedule with every sampler.
    is_other = bool(tool) or has_comfyuis_name or fields.get("Version", "").startswith(_DRAWN_BY_COMFYUI)
    if sampler in _WITHOUT_SCHEDULE and not is_other:
        return sampler, AUTOMATIC
    written = _schedule(where, kind) if kind else ""
    schedule = written if written not in ("", AUTOMATIC) else ending or written
    if ending and schedule != ending and not (version is not None and is_older):
        # Up to 1.8 a user's own type went before the name's; later no A1111 writes both.
        raise UserError(
            f"{where} names two schedules: Sampler: {in_one_line(named)}, Schedule type: {in_one_line(kind)}"
        )
    if is_other and schedule == "Beta":
        raise UserError(
            f"{where} says the schedule 'beta' of {tool or 'ComfyUI'}, which takes other timesteps than "
            "AUTOMATIC1111's Beta; sid has only that"
        )
    if sampler == "LCM" and not is_other and (not schedule or kind.lower() == "uniform"):
        return sampler, AUTOMATIC  # A1111's Uniform is what the model itself has, and LCM's has its own
    if not schedule:
        schedule = "Normal" if is_other or is_older else AUTOMATIC
    return sampler, schedule


def _parted(named: str) -> tuple[str, str]:
    """Return a sampler's name without a schedule at its end, and that schedule: "DPM++ 2M Karras", "euler_karras"."""
    match = _WITH_ENDING.fullmatch(named)
    if match is None or not (match[1].lower() in _A1111 or match[1] in _COMFYUI):
        return named, ""
    schedule = _SCHEDULES[_key(match[2])]
    return match[1], "" if schedule == AUTOMATIC else schedule


def _schedule(where: str, kind: str) -> str:
    schedule = _SCHEDULES.get(_key(kind))
    if schedule is None:
        raise UserError(
            f"{where} says Schedule type: {in_one_line(kind)}, which sid does not have; it has {', '.join(SCHEDULES)}"
        )
    return schedule
