# SPDX-License-Identifier: Apache-2.0
"""The store for asyncio."""

import asyncio
import functools

from mooncake_files.store import MooncakeDistributedStore

__all__ = ["MooncakeDistributedStoreAsync"]


class MooncakeDistributedStoreAsync(MooncakeDistributedStore):
    """A store with async_<method> for each method: `await store.async_get(key)`.

    The call runs in the loop's executor. A call that is cancelled, or whose time is over, goes on
    there: the memory that it was given must stay as it is until it has ended.
    """


def _in_executor(name):
    method = getattr(MooncakeDistributedStore, name)

    async def call(self, *args, **kwargs):
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, functools.partial(method, self, *args, **kwargs))

    call.__name__ = call.__qualname__ = "async_" + name
    call.__doc__ = method.__doc__
    return call


for _name in dir(MooncakeDistributedStore):
    if not _name.startswith("_"):
        setattr(MooncakeDistributedStoreAsync, "async_" + _name, _in_executor(_name))
del _name
