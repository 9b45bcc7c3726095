"""Operations of torch, recorded as they run, to be run again without Python.

What runs again is a TorchScript graph, in torch's own interpreter: no Python, no autograd, and the interpreter lock is
free meanwhile, so that several threads can do it at once.
"""

from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

Script = Callable[..., tuple[torch.Tensor, ...]]

# In autograd's books they make another tensor, without it the same one.
_SAME = (torch.ops.aten.detach.default, torch.ops.aten.alias.default)
# As TorchScript numbers them (c10/core/MemoryFormat.h).
_MEMORY_FORMATS = (torch.contiguous_format, torch.preserve_format, torch.channels_last)


class NotRecordedError(RuntimeError):
    """What ran cannot be recorded."""


def record(run: Callable[[], Sequence[torch.Tensor]], inputs: Sequence[torch.Tensor]) -> Script:
    """Run something once, and return what computes the same from other inputs.

    Args:
        run: returns tensors that it made. What it does must not depend on the values of tensors.
        inputs: tensors that it reads and that may be others the next time, of the same shapes.

    Returns:
        a function of the inputs that returns what `run` did, with the values of these inputs; without gradients.
        Other tensors that `run` read are read as they are then.

    Raises:
        NotRecordedError: it drew random numbers, read a tensor's value, changed or returned what it did not make, or
            this version of torch cannot do it.
    """
    random_before = torch.get_rng_state()
    try:
        recording = _Recording(inputs)
        with recording:
            outputs = run()
        script = recording.script(outputs)
    except (
        AttributeError,
        TypeError,
    ) as error:  # graphs are no public part of torch: another version may differ
        raise NotRecordedError(f"not with torch {torch.__version__}: {error}") from error
    if not torch.equal(torch.get_rng_state(), random_before):
        raise NotRecordedError("it draws random numbers")
    return script


class _Recording(TorchDispatchMode):
    def __init__(self, inputs: Sequence[torch.Tensor]) -> None:
        super().__init__()
        self._graph = torch._C.Graph()
        # Inputs and what is made of them; not kept any longer than the run keeps it.
        self._varying: MutableMapping[torch.Tensor, torch._C.Value] = WeakTensorKeyDictionary()
        self._alike: MutableMapping[torch.Tensor, None] = WeakTensorKeyDictionary()  # made of numbers alone
        self._others: MutableMapping[torch.Tensor, torch._C.Value] = WeakTensorKeyDictionary()
        self._read: list[torch.Tensor] = []  # the others that the graph reads
        self._plain_values: dict[tuple[type, str], torch._C.Value] = {}
        for tensor in inputs:
            self._varying[tensor] = self._graph_input()

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        try:
            self._write(func, args, kwargs or {}, made)
        except TypeError as error:  # torch would take it for "not implemented"
            raise NotRecordedError(f"{func} cannot be recorded: {error}") from error
        return made

    def script(self, outputs: Sequence[torch.Tensor]) -> Script:
        """End the recording."""
        if not all(tensor in self._varying for tensor in outputs):
            raise NotRecordedError("a result was not made of the inputs")
        values = [self._varying[tensor] for tensor in outputs]
        self._graph.registerOutput(self._tuple(values))
        torch._C._jit_pass_dce(self._graph)
        torch._C._jit_pass_cse(self._graph)
        function, read = torch._C._create_function_from_graph("recorded", self._graph), self._read

        def run(*inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
            # Not optimized: that takes a second, saves nothing here, and changes the order of sums.
            with torch.no_grad(), torch.jit.optimized_execution(False):
                result: tuple[torch.Tensor, ...] = function(*inputs, *read)
            return result

        return run

    def _write(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], made: Any) -> None:
        """Add the operation to the graph."""
        schema = func._schema
        given = _tensors((args, kwargs))
        if not any(one in self._varying for one in given):
            if schema.is_mutable:
                raise NotRecordedError(f"{func} changes what is no input")
            if all(one in self._alike for one in given):
                self._alike.update(dict.fromkeys(_tensors((made,))))
                return
            if _is_view(made, given):
                return
        if func in _SAME:
            self._varying[made] = self._tensor(args[0])
            return
        arguments = [
            *args,
            *(kwargs.get(one.name, one.default_value) for one in schema.arguments[len(args) :]),
        ]
        values = [self._value(one, slot.type) for one, slot in zip(arguments, schema.arguments, strict=True)]
        outputs = self._node(schema.name, values, [one.type for one in schema.returns])
        if isinstance(made, list):
            outputs = self._node("prim::ListUnpack", outputs, [torch._C.TensorType.get()] * len(made))
        several = made if isinstance(made, (list, tuple)) else (made,)
        for one, value in zip(several, outputs, strict=True):
            if isinstance(one, torch.Tensor):
                self._varying[one] = value
            elif one is not None:  # None: a gradient that nobody wants
                raise NotRecordedError(f"{func} reads a tensor's value")

    def _value(self, given: Any, wanted: Any) -> torch._C.Value:
        """The graph's value for an argument."""
        if isinstance(given, torch.Tensor):
            return self._tensor(given)
        if isinstance(given, (list, tuple)) and any(isinstance(one, torch.Tensor) for one in given):
            element = wanted.getElementType()
            values = [self._value(one, element) for one in given]
            return self._node("prim::ListConstruct", values, [torch._C.ListType(element)])[0]
        if isinstance(given, tuple):
            given = list(given)
        if isinstance(given, torch.memory_format):
            given = _MEMORY_FORMATS.index(given)
        if isinstance(given, int) and str(wanted) in ("float", "Optional[float]"):
            given = float(given)
        key = (type(given), repr(given))
        if key not in self._plain_values:
            self._plain_values[key] = self._graph.insertConstant(given)  # type: ignore[attr-defined]
        return self._plain_values[key]

    def _tensor(self, tensor: torch.Tensor) -> torch._C.Value:
        if tensor in self._varying:
            return self._varying[tensor]
        if tensor not in self._others:
            self._others[tensor] = self._graph_input()
            self._read.append(tensor)
        return self._others[tensor]

    def _graph_input(self) -> torch._C.Value:
        value = self._graph.addInput()
        value.setType(torch._C.TensorType.get())
        return value

    def _tuple(self, values: list[torch._C.Value]) -> torch._C.Value:
        kind = torch._C.TupleType([torch._C.TensorType.get()] * len(values))
        return self._node("prim::TupleConstruct", values, [kind])[0]

    def _node(
        self, name: str, values: Sequence[torch._C.Value], types: Sequence[Any]
    ) -> list[torch._C.Value]:
        node = self._graph.appendNode(self._graph.create(name, list(values), len(types)))
        outputs = [node.outputsAt(index) for index in range(len(types))]
        for output, kind in zip(outputs, types, strict=True):
            output.setType(kind)
        return outputs


def _tensors(given: object) -> list[torch.Tensor]:
    return [one for one in tree_leaves(given) if isinstance(one, torch.Tensor)]


def _is_view(made: object, given: Sequence[torch.Tensor]) -> bool:
    """Whether it shows the memory of what was given, and so has what that has later."""
    shown = {one.untyped_storage().data_ptr() for one in given}
    return all(one.untyped_storage().data_ptr() in shown for one in _tensors(made))
