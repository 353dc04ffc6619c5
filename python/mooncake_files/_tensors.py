# SPDX-License-Identifier: Apache-2.0
"""Arrays and tensors as objects: a header that says what they are, then their bytes."""

import json
import struct
import sys

import numpy

# Magic, then the length of the text that follows it; the data begin at a multiple of 64.
_HEAD = struct.Struct("<4sI")
_MAGIC = b"MCT1"
_ALIGNMENT = 64


def _torch(must_import=False):
    """The module, where the program has it already or needs it now; else None."""
    if "torch" in sys.modules or must_import:
        try:
            import torch
        except ImportError:
            return None
        return torch
    return None


def _header(kind: str, dtype: str, shape) -> bytes:
    text = json.dumps({"kind": kind, "dtype": dtype, "shape": list(shape)}).encode()
    text += b" " * (-(_HEAD.size + len(text)) % _ALIGNMENT)
    return _HEAD.pack(_MAGIC, len(text)) + text


def parts(tensor):
    """Header and data, both of one dimension; None for what is neither an array nor a tensor."""
    torch = _torch()
    if torch is not None and isinstance(tensor, torch.Tensor):
        data = tensor.detach().cpu().contiguous()
        dtype = str(data.dtype).partition(".")[2]
        # NumPy lacks some of torch's types; bytes it has.
        raw = data.reshape(-1).view(torch.uint8).numpy()
        return _header("torch", dtype, data.shape), raw
    if isinstance(tensor, (numpy.ndarray, numpy.generic)) and not tensor.dtype.hasobject:
        data = numpy.asarray(tensor, order="C")
        if data.dtype.names is not None or data.dtype.subdtype is not None:
            return None
        return _header("numpy", data.dtype.str, data.shape), data.reshape(-1).view(numpy.uint8)
    return None


def restore(handle):
    """The array or tensor in an object; None where it holds none."""
    view = memoryview(handle).cast("B") if len(handle) else memoryview(b"")
    if len(view) < _HEAD.size:
        return None
    magic, length = _HEAD.unpack_from(view)
    begin = _HEAD.size + length
    if magic != _MAGIC or begin > len(view):
        return None
    data = bytearray(view[begin:])
    # Anybody may have put it: what the header says is right where the data are of that type and
    # shape.
    try:
        about = json.loads(bytes(view[_HEAD.size : begin]))
        kind, dtype, shape = about["kind"], about["dtype"], about["shape"]
        if kind == "numpy":
            return numpy.frombuffer(data, numpy.dtype(dtype)).reshape(shape)
        torch = _torch(must_import=True)
        if torch is None or kind != "torch":
            return None
        if not data:
            return torch.empty(0, dtype=getattr(torch, dtype)).reshape(shape)
        return torch.frombuffer(data, dtype=getattr(torch, dtype)).reshape(shape)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
        return None
