# SPDX-License-Identifier: Apache-2.0
"""The object store of NVMe-oF file segments, for Python.

    from mooncake_files.store import MooncakeDistributedStore

offers what Mooncake's mooncake.store does. A program that says `from mooncake.store import ...` runs
unchanged by `python3 -m mooncake_files.run program.py`, or after install().
"""

import importlib
import os
import sys

_DROP_IN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "drop_in")

__all__ = ["install"]


def install() -> None:
    """From now on `import mooncake.store` gives this store.

    Other modules of an installed mooncake stay what they are. Processes that multiprocessing starts
    have it, too.
    """
    if _DROP_IN not in sys.path:
        sys.path.insert(0, _DROP_IN)
    importlib.invalidate_caches()
    package = sys.modules.get("mooncake")
    folder = os.path.join(_DROP_IN, "mooncake")
    if package is not None and folder not in package.__path__:
        package.__path__ = [folder, *package.__path__]
        for name in ("store", "async_store"):
            sys.modules.pop("mooncake." + name, None)
            if hasattr(package, name):
                delattr(package, name)
