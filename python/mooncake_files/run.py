# SPDX-License-Identifier: Apache-2.0
"""python3 -m mooncake_files.run [-m] program [argument...]

Runs a program, or with -m a module, for which `mooncake.store` is the store of mooncake_files. The
processes that it starts have it, too. Options of the interpreter stand before the first -m.
"""

import os
import sys

from mooncake_files import _DROP_IN


def _search_path(before: str) -> str:
    """PYTHONPATH with the drop-in, and with this package where only the working directory has it."""
    folders = [_DROP_IN]
    parent = os.path.dirname(os.path.dirname(_DROP_IN))
    if os.path.abspath(sys.path[0] or os.getcwd()) == parent:
        folders.append(parent)
    if before:
        folders.append(before)
    return os.pathsep.join(folders)


def main() -> None:
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help") or arguments == ["-m"]:
        print(__doc__, file=sys.stderr if not arguments or arguments == ["-m"] else sys.stdout)
        raise SystemExit(0 if arguments and arguments[0] != "-m" else 2)
    if sys.flags.ignore_environment:
        raise SystemExit(
            "mooncake_files.run: python3 -E and -I ignore PYTHONPATH, which it needs; leave them out"
        )
    os.environ["PYTHONPATH"] = _search_path(os.environ.get("PYTHONPATH", ""))
    options = sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv) - 1]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *options, *arguments])


if __name__ == "__main__":
    main()
