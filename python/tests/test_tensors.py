# SPDX-License-Identifier: Apache-2.0
import json
import struct

import numpy
import pytest

from mooncake_files import _tensors

ARRAYS = [
    numpy.arange(24, dtype=numpy.float32).reshape(2, 3, 4),
    numpy.arange(6, dtype=">i2"),
    numpy.array([[True, False]]),
    numpy.array([1 + 2j, 3 - 4j]),
    numpy.float64(2.5),
    numpy.zeros((0, 3), dtype=numpy.int8),
    numpy.arange(20, dtype=numpy.uint16).reshape(4, 5).T,
    numpy.arange(20)[::3],
    numpy.zeros((1,) * 6, dtype=numpy.float16),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: "%s%s" % (a.dtype, a.shape))
def test_an_array_comes_back(store, array):
    assert store.put_tensor("key", array) == 0
    found = store.get_tensor("key")
    assert isinstance(found, numpy.ndarray)
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert (found == array).all()
    assert found.flags.writeable


def test_what_is_no_array(store):
    assert store.put_tensor("key", [1, 2, 3]) == -600
    assert store.put_tensor("key", numpy.array([object()])) == -600
    assert store.is_exist("key") == 0


@pytest.mark.parametrize("value", [b"x", b"MCT1", b"MCT1" + bytes(100), b"MCT1\xff\xff\xff\xff{}"])
def test_an_object_that_holds_no_array(store, value):
    assert store.put("key", value) == 0
    assert store.get_tensor("key") is None
    assert store.get_tensor("none") is None


@pytest.mark.parametrize(
    "about",
    [
        {"kind": "numpy", "dtype": "<f4", "shape": [3]},
        {"kind": "numpy", "dtype": "<f4", "shape": "wide"},
        {"kind": "numpy", "dtype": "<f8", "shape": [2]},
        {"kind": "numpy", "dtype": "<c16", "shape": [1]},
        {"kind": "numpy", "dtype": "O", "shape": [1]},
        {"kind": "numpy", "dtype": "float1000", "shape": [8]},
        {"kind": "numpy", "dtype": 7, "shape": [8]},
        {"kind": "pickle", "dtype": "<f4", "shape": [2]},
        ["kind", "dtype", "shape"],
    ],
    ids=str,
)
def test_a_header_that_does_not_fit_is_of_no_array(store, about):
    text = json.dumps(about).encode()
    assert store.put("key", struct.pack("<4sI", b"MCT1", len(text)) + text + bytes(8)) == 0
    assert store.get_tensor("key") is None


def test_the_data_begin_aligned(store):
    for array in ARRAYS:
        header, _ = _tensors.parts(array)
        assert len(header) % 64 == 0
