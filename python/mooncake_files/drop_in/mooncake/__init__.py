# SPDX-License-Identifier: Apache-2.0
"""Mooncake's package with the store of mooncake_files; other modules are those of an installed one."""

import pkgutil

__path__ = pkgutil.extend_path(__path__, __name__)
