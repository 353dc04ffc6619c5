// SPDX-License-Identifier: Apache-2.0
// What the module is made of.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>

#include "store.h"

namespace mooncake::python {

using StoreClass = pybind11::class_<Store>;

void bindTypes(pybind11::module_& module);
void bindSetup(StoreClass& store);
void bindPut(StoreClass& store);
void bindGet(StoreClass& store);
void bindObjects(StoreClass& store);
void bindNuma(pybind11::module_& module);

}  // namespace mooncake::python
