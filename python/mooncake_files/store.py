# SPDX-License-Identifier: Apache-2.0
"""The store: the classes, methods, argument names and results of Mooncake's mooncake.store."""

from mooncake_files import _store
from mooncake_files._store import (
    BufferHandle,
    ReplicaDescriptor,
    ReplicaExtent,
    ReplicaStatus,
    ReplicateConfig,
    SoftPinAction,
    bind_to_numa_node,
    last_error,
)

__all__ = [
    "BufferHandle",
    "MooncakeDistributedStore",
    "ReplicaDescriptor",
    "ReplicaExtent",
    "ReplicaStatus",
    "ReplicateConfig",
    "SoftPinAction",
    "bind_to_numa_node",
    "last_error",
]

_INVALID_PARAMS = -600


class MooncakeDistributedStore(_store.MooncakeDistributedStore):
    __doc__ = _store.MooncakeDistributedStore.__doc__

    def put_tensor(self, key, tensor, config=None) -> int:
        """Stores a torch tensor or a NumPy array with its type and shape.

        0, also where the key is there already; or a negative code: -600 for something else, and for
        one larger than the local buffer.
        """
        from mooncake_files import _tensors

        parts = _tensors.parts(tensor)
        if parts is None:
            return _INVALID_PARAMS
        return self.put_parts(key, *parts, config=config or ReplicateConfig())

    def get_tensor(self, key):
        """What put_tensor() stored: a torch tensor or a NumPy array.

        None for a miss, for any error, for an object that is none, and for a torch tensor where
        there is no torch.
        """
        from mooncake_files import _tensors

        handle = self.get_buffer(key)
        return None if handle is None else _tensors.restore(handle)
