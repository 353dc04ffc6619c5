# SPDX-License-Identifier: Apache-2.0
from mooncake_files.store import *  # noqa: F401,F403
