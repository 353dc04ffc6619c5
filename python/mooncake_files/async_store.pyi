# SPDX-License-Identifier: Apache-2.0
from typing import Any, Awaitable, Callable

from mooncake_files.store import MooncakeDistributedStore

class MooncakeDistributedStoreAsync(MooncakeDistributedStore):
    # async_<method> takes what the method takes, and gives an awaitable of what it gives.
    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]: ...
