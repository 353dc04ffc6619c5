# SPDX-License-Identifier: Apache-2.0
"""The wheel of mooncake_files: CMake builds the libraries and the module, and says what belongs into it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
WORK = ROOT / "build" / "wheel"
COMPONENTS = ("runtime", "store_runtime", "python")


class CMakeBuild(build_ext):
    def run(self):
        prefix = WORK / "install"
        options = {
            "CMAKE_BUILD_TYPE": "RelWithDebInfo",
            "CMAKE_INSTALL_PREFIX": "/usr",  # a folder of this machine is nothing to look into elsewhere
            "CMAKE_INSTALL_LIBDIR": "mooncake_files/lib",
            "PYTHON_INSTALL_DIR": ".",
            "Python_EXECUTABLE": sys.executable,
            **dict.fromkeys(("BUILD_EXAMPLES", "BUILD_TOOLS", "BUILD_TESTING", "BUILD_PERF"), "OFF"),
        }
        cmake("-S", ROOT, "-B", WORK, "-G", "Ninja", *("-D%s=%s" % pair for pair in options.items()))
        cmake("--build", WORK, "-j", os.cpu_count())
        shutil.rmtree(prefix, ignore_errors=True)
        for component in COMPONENTS:
            cmake("--install", WORK, "--prefix", prefix, "--strip", "--component", component)
        package = prefix / "mooncake_files"
        # A wheel has no links: each library has the name that others load it by.
        for link in (package / "lib").iterdir():
            if link.is_symlink():
                link.resolve().replace(link)
        shutil.copytree(package, Path(self.build_lib) / "mooncake_files", dirs_exist_ok=True)


def cmake(*arguments):
    subprocess.run(["cmake", *map(str, arguments)], check=True)


WORK.mkdir(parents=True, exist_ok=True)
setup(
    version=re.search(r"^project\(\S+ VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text(), re.M)[1],
    # The wheel is for this interpreter and this machine.
    ext_modules=[Extension("mooncake_files._store", [])],
    cmdclass={"build_ext": CMakeBuild},
    options={"build": {"build_base": str(WORK / "setuptools")}, "egg_info": {"egg_base": str(WORK)}},
)
