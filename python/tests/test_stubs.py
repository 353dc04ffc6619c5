# SPDX-License-Identifier: Apache-2.0
"""The stubs say what the module has, and each thing says what it does."""

import ast
import inspect
import os
import re

import pytest

import mooncake_files
from mooncake_files import store

with open(os.path.join(os.path.dirname(mooncake_files.__file__), "store.pyi")) as _file:
    _STUB = ast.parse(_file.read())
CLASSES = {node.name: node for node in _STUB.body if isinstance(node, ast.ClassDef)}
FUNCTIONS = {node.name for node in _STUB.body if isinstance(node, ast.FunctionDef)}


def names_in(node):
    for item in node.body:
        if isinstance(item, ast.FunctionDef):
            yield item.name
        elif isinstance(item, ast.AnnAssign):
            yield item.target.id
        elif isinstance(item, ast.Assign):
            yield item.targets[0].id


def public(names):
    return {name for name in names if not name.startswith("_")}


def test_the_module():
    assert set(CLASSES) | FUNCTIONS == set(store.__all__)


@pytest.mark.parametrize("name", CLASSES)
def test_a_class(name):
    have = public(dir(getattr(store, name)))
    if issubclass(type(getattr(store, name)), type) and hasattr(getattr(store, name), "__members__"):
        have -= {"name", "value"}
    assert public(names_in(CLASSES[name])) == have


def stub_arguments():
    for item in CLASSES["MooncakeDistributedStore"].body:
        for argument in item.args.args[1:] + item.args.kwonlyargs:
            yield item.name, argument.arg


@pytest.mark.parametrize("method, argument", stub_arguments())
def test_an_argument_is_the_module_s(method, argument):
    function = getattr(store.MooncakeDistributedStore, method)
    if inspect.isfunction(function):
        assert argument in inspect.signature(function).parameters
    else:
        assert re.search(r"\b%s:" % argument, function.__doc__)


def test_everything_is_described():
    for name in public(dir(store.MooncakeDistributedStore)):
        text = inspect.getdoc(getattr(store.MooncakeDistributedStore, name))
        # Behind pybind11's line with the signature.
        assert len(text.splitlines()) >= 2, name
    for name in store.__all__:
        assert inspect.getdoc(getattr(store, name)), name
