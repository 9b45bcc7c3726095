"""The nodes of a ComfyUI graph, and how to follow its links.

Format: ComfyUI's API format, in PNG's `prompt`: {node's id: {"class_type", "inputs": {name: value or [id, output]}}}.
The web page's format, in `workflow`, is only read where `prompt` is missing: there the values of a node's fields stand
in `widgets_values`, in the order of the node's definition in ComfyUI's nodes.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_LONGEST_TEXT = 1_000_000  # characters
_DEEPEST = 100  # nodes that only hand on a value
_HAND_ON = ("reroute", "showtext", "showanything")  # in the names of nodes
_OF_PAGE = ("control_after_generate", "control_before_generate")
_PROCESSED = ("populated_text",)  # what a node of wildcards has made of its text
# Fields of the nodes of ComfyUI itself, in their order; "" is the choice beside a seed that the page alone has.
_FIELDS = {
    "KSampler": ("seed", "", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": (
        "add_noise", "noise_seed", "", "steps", "cfg", "sampler_name", "scheduler", "start_at_step", "end_at_step",
        "return_with_leftover_noise",
    ),
    "SamplerCustom": ("add_noise", "noise_seed", "", "cfg"),
    "KSamplerSelect": ("sampler_name",),
    "BasicScheduler": ("scheduler", "steps", "denoise"),
    "RandomNoise": ("noise_seed", ""),
    "CFGGuider": ("cfg",),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "UNETLoader": ("unet_name", "weight_dtype"),
    "VAELoader": ("vae_name",),
    "LoraLoader": ("lora_name", "strength_model", "strength_clip"),
    "LoraLoaderModelOnly": ("lora_name", "strength_model"),
    "CLIPSetLastLayer": ("stop_at_clip_layer",),
    "CLIPTextEncode": ("text",),
    "CLIPTextEncodeSDXL": (
        "width", "height", "crop_w", "crop_h", "target_width", "target_height", "text_g", "text_l",
    ),
    "EmptyLatentImage": ("width", "height", "batch_size"),
    "EmptySD3LatentImage": ("width", "height", "batch_size"),
    "PrimitiveNode": ("value",),
}  # fmt: skip
_MUTED, _BYPASSED = 2, 4


@dataclass(frozen=True)
class Node:
    """One node of a graph."""

    id: str
    kind: str  # its class_type
    inputs: dict[str, Any]

    @property
    def shown(self) -> str:
        """How a message names it."""
        return f"{self.kind} (node {self.id})"


class Graph:
    """The nodes of a graph, by id."""

    def __init__(self, nodes: dict[str, Node]) -> None:
        self.nodes = nodes

    def source(self, value: Any) -> tuple[Node, int] | None:
        """Return the node and the output that an input's value links to; None: it is no link, or a dead one."""
        for _ in range(_DEEPEST):
            if not (isinstance(value, list) and len(value) == 2 and isinstance(value[1], int)):
                return None
            node = self.nodes.get(str(value[0]))
            if node is None:
                return None
            handed_on = self._handed_on(node)
            if handed_on is None:
                return node, value[1]
            value = handed_on
        return None

    def _handed_on(self, node: Node) -> Any:
        if not any(word in node.kind.lower() for word in _HAND_ON):
            return None
        links = [value for value in node.inputs.values() if isinstance(value, list)]
        return links[0] if len(links) == 1 else None

    def links_of(self, node: Node) -> Iterator[tuple[str, Node, int]]:
        """Yield the inputs of a node that are links: its name, the node and the output."""
        for name, value in node.inputs.items():
            found = self.source(value)
            if found:
                yield name, *found

    def value(self, node: Node, name: str) -> tuple[Any, Node | None]:
        """Return an input's value, followed to the node that has it, or the node where it cannot be followed."""
        value = node.inputs.get(name)
        found = self.source(value)
        if found is None:
            return (None if isinstance(value, list | dict) else value), None
        source = found[0]
        processed = [source.inputs[key] for key in _PROCESSED if isinstance(source.inputs.get(key), str)]
        plain = processed or [
            given
            for key, given in source.inputs.items()
            if isinstance(given, str | int | float) and not isinstance(given, bool) and key not in _OF_PAGE
        ]
        is_alone = processed or not any(isinstance(given, list) for given in source.inputs.values())
        if len(plain) == 1 and is_alone:  # a node that is there for this one value
            return plain[0], None
        if source.kind == "StringConcatenate":
            joined = self._joined(source)
            if joined is not None:
                return joined, None
        return None, source

    def _joined(self, node: Node, level: int = 0) -> str | None:
        parts = []
        for name in ("string_a", "string_b"):
            found = self.source(node.inputs.get(name))
            if found and found[0].kind == "StringConcatenate":
                part = self._joined(found[0], level + 1) if level < 8 else None
            else:
                part = self.value(node, name)[0]
            if not isinstance(part, str) or len(part) > _LONGEST_TEXT:
                return None
            parts.append(part)
        return str(node.inputs.get("delimiter", "")).join(parts)


def of_prompt(value: Any) -> Graph | None:
    """Return the graph of the API format; None: the value is none."""
    if not isinstance(value, dict):
        return None
    nodes = {}
    for id_, node in value.items():
        if isinstance(node, dict) and isinstance(node.get("class_type"), str):
            inputs = node.get("inputs")
            nodes[id_] = Node(id_, node["class_type"], inputs if isinstance(inputs, dict) else {})
    return Graph(nodes) if nodes else None


def of_workflow(value: Any) -> Graph | None:
    """Return the graph of the page's format, of the nodes that are ComfyUI's own; None: the value is none."""
    if not isinstance(value, dict) or not isinstance(value.get("nodes"), list):
        return None
    links = {}
    for link in value["links"] if isinstance(value.get("links"), list) else []:
        if isinstance(link, list) and len(link) >= 3 and isinstance(link[2], int):
            links[str(link[0])] = [str(link[1]), link[2]]
    nodes = {}
    for node in value["nodes"]:
        if isinstance(node, dict) and isinstance(node.get("type"), str) and node.get("mode") != _MUTED:
            id_, kind = str(node.get("id")), node["type"]
            # A node that is bypassed hands its inputs on, which is not followed.
            kind = f"bypassed {kind}" if node.get("mode") == _BYPASSED else kind
            nodes[id_] = Node(id_, kind, _inputs(node, links))
    return Graph(nodes) if nodes else None


def _inputs(node: dict[str, Any], links: dict[str, list[Any]]) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    values = node.get("widgets_values")
    names = _FIELDS.get(node["type"], ())
    if isinstance(values, list):
        # Texts and numbers of a node that is not ComfyUI's own have no names here, only their place.
        named = names or tuple(f"widget {index}" for index in range(len(values)))
        inputs |= {name: given for name, given in zip(named, values, strict=False) if name}
        if node["type"] == "PrimitiveNode":
            inputs = {"value": values[0]} if values else {}
    elif isinstance(values, dict):
        inputs |= values
    for given in node["inputs"] if isinstance(node.get("inputs"), list) else []:
        if isinstance(given, dict) and str(given.get("link")) in links:
            inputs[str(given.get("name"))] = links[str(given["link"])]
    return inputs
