"""ComfyUI: from the graph of nodes in PNG's `prompt` (or `workflow`) to the settings of the sampling that it ends in.

Sources: ComfyUI, nodes.py and comfy_extras/nodes_custom_sampler.py. What is read: KSampler, KSamplerAdvanced,
SamplerCustom and SamplerCustomAdvanced with their parts, chains of LoRAs, the checkpoint, CLIPSetLastLayer, texts and
the empty latent. Every other node on the way is named, and makes the picture one that cannot be redrawn.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from bootstrap.drawing.infotext import Infotext
from bootstrap.drawing.metadata import names
from bootstrap.drawing.metadata.comfyui_graph import Graph, Node
from bootstrap.errors import UserError

TOOL = "ComfyUI"
_SAMPLERS = ("KSampler", "KSamplerAdvanced", "SamplerCustom", "SamplerCustomAdvanced")
_AFTER_SAMPLING = ("VAEDecode", "VAEDecodeTiled", "CheckpointLoaderSimple", "VAELoader", "CheckpointLoader")
_EMPTY_LATENTS = ("EmptyLatentImage", "EmptySD3LatentImage")
_MODELS = {"CheckpointLoaderSimple": "ckpt_name", "CheckpointLoader": "ckpt_name", "UNETLoader": "unet_name"}
_EMBEDDING = re.compile(r"embedding:([^\s,:()\[\]]{1,200})")
_MOST_REFUSALS = 12
_MOST_NODES = 5000
_MOST_ENDS = 50
_LAST_STEP = 10_000  # KSamplerAdvanced's own default: to the end


def parameters(graph: Graph, size: tuple[int, int]) -> Infotext | None:
    """Return what a graph says; None: no node of it samples.

    Args:
        size: of the picture, where the graph does not say it.

    Raises:
        UserError: it has far too many nodes.
    """
    if len(graph.nodes) > _MOST_NODES:
        raise UserError(f"its ComfyUI graph has {len(graph.nodes):,} nodes, {_MOST_NODES:,} at most are read")
    reader = _Reader(graph)
    sampling = reader.final_sampling()
    return None if sampling is None else reader.read(sampling, size)


class _Reader:
    """Reads one graph, and collects what of it cannot be honoured."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.refusals: list[str] = []
        self.stated_sizes: dict[str, set[str]] = {}  # by the node that states them

    def refuse(self, reason: str) -> None:
        if reason not in self.refusals and len(self.refusals) < _MOST_REFUSALS:
            self.refusals.append(reason)

    def value(self, node: Node | None, name: str) -> Any:
        """Return an input's value; what comes from a node that is not followed is named."""
        if node is None:
            return None
        value, unfollowed = self.graph.value(node, name)
        if unfollowed:
            self.refuse(
                f"the '{name}' of {node.shown} comes from {unfollowed.shown}, which sid does not follow"
            )
        return value

    def part(self, node: Node, name: str) -> Node | None:
        found = self.graph.source(node.inputs.get(name))
        return found[0] if found else None

    # ---- which sampling

    def final_sampling(self) -> Node | None:
        """Return the node whose sampling ends in the saved picture."""
        linked = {
            source.id for node in self.graph.nodes.values() for _, source, _ in self.graph.links_of(node)
        }
        ends = [node for node in self.graph.nodes.values() if node.id not in linked]
        saving = [node for node in ends if "save" in node.kind.lower() and "image" in node.kind.lower()]
        found: dict[str, Node] = {}
        for end in (saving or ends)[:_MOST_ENDS]:
            found |= {node.id: node for node in self._samplings_before(end)}
        if not found:
            return None
        if len(found) > 1:
            several = ", ".join(node.shown for node in list(found.values())[:4])
            self.refuse(
                f"its graph samples pictures in {len(found)} places ({several}), and nobody can tell which it is"
            )
        return next(iter(found.values()))

    def _samplings_before(self, end: Node) -> list[Node]:
        """Return the samplings that a node's picture comes from, and name what happens after them."""
        if _is_sampling(end):
            return [end]
        seen, left, samplings, between = {end.id}, [end], [], []
        while left:
            for name, node, _ in self.graph.links_of(left.pop()):
                if node.id in seen or name in ("vae", "clip", "model", "upscale_model"):
                    continue
                seen.add(node.id)
                if _is_sampling(node):
                    samplings.append(node)
                else:
                    left.append(node)
                    if node.kind not in _AFTER_SAMPLING:
                        between.append(node)
        if samplings:
            for node in between:
                self.refuse(f"after sampling it went through {node.shown}, which sid does not support")
        return samplings

    # ---- a sampling

    def read(self, node: Node, size: tuple[int, int]) -> Infotext:
        """Return the parameters of a sampling."""
        if node.kind not in _SAMPLERS:
            self.refuse(f"it was sampled by {node.shown}, which sid does not know")
        guider = self.part(node, "guider") if "guider" in node.inputs else node
        settings = self._settings(node, guider)
        positive, encoder = self._prompt(guider, "positive")
        negative, other_encoder = self._prompt(guider, "negative")
        if positive == "" and guider is not None and "conditioning" in guider.inputs:  # BasicGuider
            positive, encoder = self._prompt(guider, "conditioning")
            settings["CFG scale"] = "1"
        model, unet = self._model(guider)
        clip_skip, of_encoder = self._clip(encoder)
        other = self._clip(other_encoder) if other_encoder else (clip_skip, of_encoder)
        if other != (clip_skip, of_encoder):
            self.refuse("its two prompts were encoded by different text encoders")
        loras = _loras(unet, of_encoder)
        fields = settings | names.fields_of(
            Size=self._size(node, size),
            Model=names.file_title(model),
            Clip_skip=clip_skip,
            VAE=self._vae(),
            RNG="CPU",
        )
        for shown, sizes in self.stated_sizes.items():
            if sizes != {fields.get("Size")}:
                self.refuse(f"{shown} states another size than the picture's, which sid does not support")
        for name in _EMBEDDING.findall(f"{positive} {negative}"):
            self.refuse(
                f"its prompt has the embedding '{name}', whose hash ComfyUI does not write into pictures"
            )
        fields["Version"] = TOOL
        return Infotext(names.with_loras(positive, loras), negative, fields, TOOL, tuple(self.refusals))

    def _settings(self, node: Node, guider: Node | None) -> dict[str, str]:
        """Return steps, sampler, schedule, CFG scale, seed and denoising strength."""
        noise = self.part(node, "noise") if "noise" in node.inputs else node
        sigmas = self.part(node, "sigmas") if "sigmas" in node.inputs else node
        selected = self.part(node, "sampler") if "sampler" in node.inputs else node
        if sigmas and sigmas.kind not in ("BasicScheduler", *_SAMPLERS) and node.kind in _SAMPLERS:
            self.refuse(f"its noise schedule comes from {sigmas.shown}, which sid does not support")
        if selected and selected.kind not in ("KSamplerSelect", *_SAMPLERS) and node.kind in _SAMPLERS:
            self.refuse(f"its sampler is {selected.shown}, which sid does not support")
        sampler, schedule = names.sampler(str(self.value(selected, "sampler_name") or ""))
        seed = "noise_seed" if noise and "noise_seed" in noise.inputs else "seed"
        fields = names.fields_of(
            Steps=names.number(self.value(sigmas, "steps")), Sampler=sampler,
            Schedule_type=names.schedule(str(self.value(sigmas, "scheduler") or "")) or schedule,
            CFG_scale=names.number(self.value(guider, "cfg")), Seed=names.number(self.value(noise, seed)),
        )  # fmt: skip
        for reason in names.refusals_of_comfyui(fields.get("Schedule type", "")):
            self.refuse(reason)
        denoise = names.strength(self.value(sigmas, "denoise"))
        if denoise < 1 or self._is_from_a_picture(node):
            fields["Denoising strength"] = f"{denoise:g}"
        self._check_range(node, fields)
        return fields

    def _check_range(self, node: Node, fields: dict[str, str]) -> None:
        """Name a sampling that is a part of the steps, or that adds no noise."""
        first = names.strength(self.value(node, "start_at_step"), 0)
        last = names.strength(self.value(node, "end_at_step"), _LAST_STEP)
        if first > 0 or last < names.strength(fields.get("Steps"), 0):
            self.refuse(f"{node.shown} takes only the steps from {first:g} to {last:g}")
        if str(self.value(node, "add_noise")).lower() in ("disable", "false"):
            self.refuse(f"{node.shown} adds no noise")
        if str(self.value(node, "return_with_leftover_noise")).lower() == "enable":
            self.refuse(f"{node.shown} leaves noise in the picture")

    # ---- prompts

    def _prompt(self, node: Node | None, name: str) -> tuple[str, Node | None]:
        """Return the text of a conditioning, and the node that encodes it."""
        if node is None or name not in node.inputs:
            return "", None
        found = self.graph.source(node.inputs[name])
        if found is None:
            return names.text(node.inputs[name]), None  # a node that encodes its own text
        texts: list[str] = []
        encoders: list[Node] = []
        seen, left = {node.id}, [found[0]]
        while left:
            each = left.pop(0)
            if each.id in seen:
                continue
            seen.add(each.id)
            if any(key in each.inputs for key in ("text", "text_g", "clip_l", "t5xxl")):
                texts.append(self._text(each))
                encoders.append(each)
                continue
            self.refuse(f"its {name} prompt goes through {each.shown}, which sid does not support")
            if name in each.inputs and not isinstance(
                each.inputs[name], list
            ):  # of a loader that has the prompts
                texts.append(names.text(each.inputs[name]))
            inner = list(self.graph.links_of(each))
            same = [source for key, source, _ in inner if key == name]
            left += same or [source for key, source, _ in inner if key.startswith("conditioning")]
        return "\n".join(text for text in texts if text), encoders[0] if encoders else None

    def _text(self, node: Node) -> str:
        if node.kind == "CLIPTextEncode":
            return names.text(self.value(node, "text"))
        if node.kind != "CLIPTextEncodeSDXL":
            self.refuse(f"its prompt was encoded by {node.shown}, which sid does not support")
        keys = [key for key in ("text", "text_g", "text_l", "clip_l", "t5xxl") if key in node.inputs]
        texts = list(dict.fromkeys(names.text(self.value(node, key)) for key in keys))
        if node.kind == "CLIPTextEncodeSDXL":
            if len(texts) > 1:
                self.refuse(f"{node.shown} gives its two text encoders different texts")
            self._note_sdxl_sizes(node)
        return "\n".join(text for text in texts if text)

    def _note_sdxl_sizes(self, node: Node) -> None:
        """Note a size of SDXL's conditioning that is not the picture's, and a crop, once the picture's is known."""
        width, height, crop_w, crop_h, target_width, target_height = (
            names.number(self.value(node, key))
            for key in ("width", "height", "crop_w", "crop_h", "target_width", "target_height")
        )
        self.stated_sizes[node.shown] = {f"{width}x{height}", f"{target_width}x{target_height}"}
        if {crop_w, crop_h} - {"0", ""}:
            self.refuse(f"{node.shown} states a crop, which sid does not support")

    # ---- model and LoRAs

    def _model(self, node: Node | None) -> tuple[str, dict[str, float]]:
        """Return the checkpoint's name, and the UNet's strength of each LoRA in the order of their use."""
        strengths: dict[str, float] = {}
        checkpoint = ""

        def visit(each: Node) -> bool:
            nonlocal checkpoint
            if each.kind in _MODELS:
                checkpoint = names.text(self.value(each, _MODELS[each.kind]))
                return False
            if each.kind in ("LoraLoader", "LoraLoaderModelOnly"):
                self._add(strengths, each, "strength_model")
                return True
            self.refuse(f"its model goes through {each.shown}, which sid does not support")
            checkpoint = checkpoint or names.text(each.inputs.get("ckpt_name"))
            return True

        self._along(node, "model", visit)
        return checkpoint, dict(reversed(strengths.items()))

    def _clip(self, node: Node | None) -> tuple[str, dict[str, float]]:
        """Return A1111's clip skip, and the text encoder's strength of each LoRA."""
        strengths: dict[str, float] = {}
        layers: list[str] = []

        def visit(each: Node) -> bool:
            if each.kind in _MODELS:
                return False
            if each.kind == "CLIPSetLastLayer":
                layers.append(names.number(self.value(each, "stop_at_clip_layer")).removeprefix("-"))
            elif each.kind == "LoraLoader":
                self._add(strengths, each, "strength_clip")
            else:
                self.refuse(f"its text encoder comes through {each.shown}, which sid does not support")
            return True

        self._along(node, "clip", visit)
        skip = layers[0] if layers else ""  # the last one counts
        return ("" if skip == "1" else skip), dict(reversed(strengths.items()))

    def _along(self, node: Node | None, name: str, visit: Callable[[Node], bool]) -> None:
        """Visit the nodes that an input comes through, the last one first, until one says that it is the first."""
        seen: set[str] = set()
        found = self.graph.source(node.inputs.get(name)) if node else None
        while found and found[0].id not in seen:
            seen.add(found[0].id)
            if not visit(found[0]):
                return
            found = self.graph.source(found[0].inputs.get(name))

    def _add(self, strengths: dict[str, float], node: Node, key: str) -> None:
        name = names.file_title(names.text(self.value(node, "lora_name")))
        if any(sign in name for sign in ":<>"):
            self.refuse(f"the LoRA '{name}' has a name that no prompt can have")
        strength = names.strength(self.value(node, key))
        if name in strengths:
            self.refuse(f"the LoRA '{name}' is applied twice")
        strengths[name] = strengths.get(name, 0) + strength

    # ---- latents

    def _is_from_a_picture(self, node: Node) -> bool:
        latent = self.part(node, "latent_image")
        return latent is not None and latent.kind not in _EMPTY_LATENTS and not _has_size(latent)

    def _size(self, node: Node, size: tuple[int, int]) -> str:
        latent = self.part(node, "latent_image")
        if latent is None:
            self.refuse("its graph does not say what it was drawn from")
            return names.size(*size)
        if latent.kind not in _EMPTY_LATENTS:
            what = "in several passes" if self._samplings_before(latent) else "from another picture"
            self.refuse(f"it was drawn {what}, through {latent.shown}, which sid does not support")
        batch = names.number(self.value(latent, "batch_size"))
        if batch not in ("", "1"):
            self.refuse(f"it was drawn in a batch of {batch}, and nobody can tell which of them it is")
        if not _has_size(latent):
            return names.size(*size)
        return names.size(self.value(latent, "width"), self.value(latent, "height")) or names.size(*size)

    def _vae(self) -> str:
        """Return the VAE that the picture was decoded with, if it is not the checkpoint's."""
        decoding = [node for node in self.graph.nodes.values() if node.kind.startswith("VAEDecode")]
        loaders = [
            found for node in decoding if (found := self.part(node, "vae")) and found.kind == "VAELoader"
        ]
        return names.file_title(names.text(self.value(loaders[0], "vae_name"))) if loaders else ""


def _is_sampling(node: Node) -> bool:
    """Whether a node samples: one of ComfyUI's, or another one with the inputs of a KSampler."""
    of_others = {"steps", "sampler_name"} <= node.inputs.keys() and {
        "seed",
        "noise_seed",
    } & node.inputs.keys()
    return node.kind in _SAMPLERS or bool(of_others)


def _has_size(node: Node) -> bool:
    return (
        {"width", "height"} <= node.inputs.keys()
        and "image" not in node.inputs
        and "samples" not in node.inputs
    )


def _loras(unet: dict[str, float], encoder: dict[str, float]) -> Iterable[names.Lora]:
    """Return the LoRAs with both strengths; ComfyUI leaves out those of strength 0."""
    for name in dict.fromkeys([*unet, *encoder]):
        lora = names.Lora(name, unet.get(name, 0.0), encoder.get(name, 0.0))
        if lora.unet or lora.text_encoder:
            yield lora
