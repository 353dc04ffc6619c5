# SPDX-License-Identifier: Apache-2.0
"""Programs that import mooncake.store, with and without an installed mooncake."""

import os
import subprocess
import sys

import pytest

LIMIT = 120
PROGRAM = """
import json, multiprocessing, sys
from mooncake.store import MooncakeDistributedStore, ReplicateConfig
from mooncake.async_store import MooncakeDistributedStoreAsync
import mooncake.store, mooncake_files.store

def child():
    import mooncake.store
    assert mooncake.store.MooncakeDistributedStore is mooncake_files.store.MooncakeDistributedStore
    sys.exit(5)

if __name__ == "__main__":
    assert MooncakeDistributedStore is mooncake_files.store.MooncakeDistributedStore
    process = multiprocessing.get_context("spawn").Process(target=child)
    process.start()
    process.join(100)
    print(json.dumps([sys.argv[1:], __name__, process.exitcode]))
"""


def run(*arguments, cwd, **environment):
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=LIMIT, cwd=cwd,
        env={**os.environ, **environment},
    )  # fmt: skip


@pytest.fixture
def program(folder):
    path = os.path.join(folder, "program.py")
    with open(path, "w") as file:
        file.write(PROGRAM)
    return path


@pytest.fixture
def other_mooncake(folder):
    """The package of somebody else, with a store and an engine."""
    package = os.path.join(folder, "site", "mooncake")
    os.makedirs(package)
    for name, text in (
        ("__init__", "try:\n    from mooncake.store import BufferPool\nexcept ImportError:\n    pass\n"),
        ("store", "raise ImportError('this is the other store')\n"),
        ("engine", "name = 'the other engine'\n"),
    ):
        with open(os.path.join(package, name + ".py"), "w") as file:
            file.write(text)
    return os.path.join(folder, "site")


def test_a_program_and_its_arguments(folder, program):
    done = run("-m", "mooncake_files.run", program, "a", "-m", "--b=c d", cwd=folder)
    assert (done.returncode, done.stdout) == (
        0,
        '[["a", "-m", "--b=c d"], "__main__", 5]\n',
    ), done.stderr


def test_a_module_and_options_of_the_interpreter(folder, program):
    done = run("-O", "-u", "-m", "mooncake_files.run", "-m", "program", "a", cwd=folder)
    assert (done.returncode, done.stdout) == (0, '[["a"], "__main__", 5]\n'), done.stderr
    flags = run("-O", "-m", "mooncake_files.run", "-c", "import sys; print(sys.flags.optimize)", cwd=folder)
    assert flags.stdout == "1\n", flags.stderr


def test_another_mooncake_keeps_its_other_modules(folder, program, other_mooncake):
    path = os.environ["PYTHONPATH"] + os.pathsep + other_mooncake
    with open(program, "a") as file:
        file.write("    import mooncake.engine\n    print(mooncake.engine.name)\n")
    done = run("-m", "mooncake_files.run", program, cwd=folder, PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1] == "the other engine"


def test_a_program_s_status_is_kept(folder):
    done = run("-m", "mooncake_files.run", "-c", "raise SystemExit(9)", cwd=folder)
    assert done.returncode == 9
    assert run("-m", "mooncake_files.run", "missing.py", cwd=folder).returncode == 2


@pytest.mark.parametrize("arguments, code", [([], 2), (["-m"], 2), (["--help"], 0)])
def test_usage(folder, arguments, code):
    done = run("-m", "mooncake_files.run", *arguments, cwd=folder)
    assert done.returncode == code
    assert "python3 -m mooncake_files.run" in done.stdout + done.stderr


def test_only_in_the_working_directory(program, folder):
    """A package that only the working directory has is found by a program elsewhere, too."""
    path = os.environ["PYTHONPATH"]
    code = "import mooncake.store; print('found')"
    with open(program, "w") as file:
        file.write(code)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-m", "mooncake_files.run", os.path.abspath(program)],
        capture_output=True, text=True, timeout=LIMIT, cwd=path, env=environment,
    )  # fmt: skip
    assert done.stdout == "found\n", done.stderr


INSTALL = """
import sys
{before}
import mooncake_files
mooncake_files.install()
mooncake_files.install()
import mooncake.store, mooncake_files.store
assert mooncake.store.MooncakeDistributedStore is mooncake_files.store.MooncakeDistributedStore
{after}
"""


def test_install(folder):
    done = run("-c", INSTALL.format(before="", after=""), cwd=folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("before", ["", "import mooncake, mooncake.engine"])
def test_install_beside_another_mooncake(folder, other_mooncake, before):
    path = os.environ["PYTHONPATH"] + os.pathsep + other_mooncake
    after = "import mooncake.engine; assert mooncake.engine.name == 'the other engine'"
    done = run("-c", INSTALL.format(before=before, after=after), cwd=folder, PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
