# SPDX-License-Identifier: Apache-2.0
"""node_without_files.py <directory>: tells which package it has, then joins a store as a node that gives nothing."""

import sys

from mooncake.store import MooncakeDistributedStore
from mooncake_files.store import last_error

print(sys.modules["mooncake_files"].__file__, flush=True)
store = MooncakeDistributedStore()
code = store.setup_with_files("localhost", "P2PHANDSHAKE", [], master_server_addr=sys.argv[1])
if code != 0:
    sys.exit("setup_with_files gives %d: %s" % (code, last_error()))
got = [store.is_exist("key"), store.get("key"), store.put("key", b"value"), store.health_check(), store.close()]
if got != [0, b"", -200, 0, 0]:
    sys.exit("the store gives %s: %s" % (got, last_error()))
