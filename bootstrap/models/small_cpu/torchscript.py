"""Recording torch's operations as they run, to replay them without Python.

A recording is a TorchScript graph that torch's own interpreter replays: no Python, no autograd, and without holding
Python's interpreter lock, so that several threads can replay at once.
"""

from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

Script = Callable[..., tuple[torch.Tensor, ...]]

# These return a new tensor only for autograd; without it, their result is their argument.
_SAME = (torch.ops.aten.detach.default, torch.ops.aten.alias.default)
# In TorchScript's numbering (c10/core/MemoryFormat.h).
_MEMORY_FORMATS = (torch.contiguous_format, torch.preserve_format, torch.channels_last)


class NotRecordedError(RuntimeError):
    """The operations cannot be recorded."""


def record(run: Callable[[], Sequence[torch.Tensor]], inputs: Sequence[torch.Tensor]) -> Script:
    """Call a function once, and return a function that repeats its operations with other inputs.

    Args:
        run: returns tensors that it created. Its control flow must not depend on the values of tensors.
        inputs: tensors that it reads and that differ from call to call, but not in shape.

    Returns:
        A function of the inputs that returns the results of `run` for them, without gradients. Other tensors that `run`
        read are read with their values at the time of the call.

    Raises:
        NotRecordedError: it drew random numbers, read a tensor's value, changed or returned a tensor that it did not
            create, or this version of torch lacks something.
    """
    random_before = torch.get_rng_state()
    try:
        recording = _Recording(inputs)
        with recording:
            outputs = run()
        script = recording.script(outputs)
    except (AttributeError, TypeError) as error:  # torch._C.Graph is not public: another version may differ
        raise NotRecordedError(f"not with torch {torch.__version__}: {error}") from error
    if not torch.equal(torch.get_rng_state(), random_before):
        raise NotRecordedError("it draws random numbers")
    return script


class _Recording(TorchDispatchMode):
    def __init__(self, inputs: Sequence[torch.Tensor]) -> None:
        super().__init__()
        self._graph = torch._C.Graph()
        # Inputs and results computed from them; weak, so that tensors are freed when the run frees them.
        self._varying: MutableMapping[torch.Tensor, torch._C.Value] = WeakTensorKeyDictionary()
        self._constant: MutableMapping[torch.Tensor, None] = (
            WeakTensorKeyDictionary()
        )  # computed from numbers alone
        self._external: MutableMapping[torch.Tensor, torch._C.Value] = WeakTensorKeyDictionary()
        self._external_read: list[
            torch.Tensor
        ] = []  # external tensors that the graph reads, as further inputs
        self._plain_values: dict[tuple[type, str], torch._C.Value] = {}
        for tensor in inputs:
            self._varying[tensor] = self._graph_input()

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        try:
            self._write(func, args, kwargs or {}, result)
        except TypeError as error:  # torch would treat it as "not implemented"
            raise NotRecordedError(f"{func} cannot be recorded: {error}") from error
        return result

    def script(self, outputs: Sequence[torch.Tensor]) -> Script:
        """Finish the recording, and return it as a function of the inputs."""
        if not all(tensor in self._varying for tensor in outputs):
            raise NotRecordedError("a result was not computed from the inputs")
        values = [self._varying[tensor] for tensor in outputs]
        self._graph.registerOutput(self._tuple(values))
        torch._C._jit_pass_dce(self._graph)
        torch._C._jit_pass_cse(self._graph)
        function = torch._C._create_function_from_graph("recorded", self._graph)
        external = self._external_read

        def replay(*inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
            # Not optimized: optimizing takes a second, saves nothing here, and changes the order of sums.
            with torch.no_grad(), torch.jit.optimized_execution(False):
                results: tuple[torch.Tensor, ...] = function(*inputs, *external)
            return results

        return replay

    def _write(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Add the operation to the graph."""
        schema = func._schema
        tensors = _tensors((args, kwargs))
        if not any(tensor in self._varying for tensor in tensors):
            if schema.is_mutable:
                raise NotRecordedError(f"{func} changes a tensor that is not an input")
            if all(tensor in self._constant for tensor in tensors):
                self._constant.update(dict.fromkeys(_tensors((result,))))
                return
            if _is_view(result, tensors):
                return
        if func in _SAME:
            self._varying[result] = self._tensor(args[0])
            return
        arguments = [
            *args,
            *(kwargs.get(slot.name, slot.default_value) for slot in schema.arguments[len(args) :]),
        ]
        values = [
            self._value(argument, slot.type)
            for argument, slot in zip(arguments, schema.arguments, strict=True)
        ]
        outputs = self._node(schema.name, values, [slot.type for slot in schema.returns])
        if isinstance(result, list):
            outputs = self._node("prim::ListUnpack", outputs, [torch._C.TensorType.get()] * len(result))
        results = result if isinstance(result, (list, tuple)) else (result,)
        for tensor, value in zip(results, outputs, strict=True):
            if isinstance(tensor, torch.Tensor):
                self._varying[tensor] = value
            elif tensor is not None:  # None: a gradient that was not requested
                raise NotRecordedError(f"{func} reads a tensor's value")

    def _value(self, argument: Any, kind: Any) -> torch._C.Value:
        """Return the graph's value for an argument whose parameter has the TorchScript type `kind`."""
        if isinstance(argument, torch.Tensor):
            return self._tensor(argument)
        if isinstance(argument, (list, tuple)) and any(isinstance(item, torch.Tensor) for item in argument):
            element = kind.getElementType()
            values = [self._value(item, element) for item in argument]
            return self._node("prim::ListConstruct", values, [torch._C.ListType(element)])[0]
        if isinstance(argument, tuple):
            argument = list(argument)
        if isinstance(argument, torch.memory_format):
            argument = _MEMORY_FORMATS.index(argument)
        if isinstance(argument, int) and str(kind) in ("float", "Optional[float]"):
            argument = float(argument)
        key = (type(argument), repr(argument))
        if key not in self._plain_values:
            self._plain_values[key] = self._graph.insertConstant(argument)  # type: ignore[attr-defined]
        return self._plain_values[key]

    def _tensor(self, tensor: torch.Tensor) -> torch._C.Value:
        if tensor in self._varying:
            return self._varying[tensor]
        if tensor not in self._external:
            self._external[tensor] = self._graph_input()
            self._external_read.append(tensor)
        return self._external[tensor]

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


def _tensors(tree: object) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def _is_view(result: object, arguments: Sequence[torch.Tensor]) -> bool:
    """Whether the result's tensors share the arguments' memory, and so see later changes of their values."""
    addresses = {tensor.untyped_storage().data_ptr() for tensor in arguments}
    return all(tensor.untyped_storage().data_ptr() in addresses for tensor in _tensors(result))
