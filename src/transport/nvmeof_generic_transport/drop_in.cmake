# SPDX-License-Identifier: Apache-2.0
# This folder as part of another engine's build: everything but the plugin's entry as the object library
# nvmeof_generic_transport, with the libraries that it needs. The engine's include folders come from the folder above; the
# plugin's own headers are found from the sources' root, as in its own tree.
find_package(PkgConfig REQUIRED)
pkg_check_modules(NVMEOF_GENERIC_LIBRARIES REQUIRED IMPORTED_TARGET libnvme>=1.0 uuid libcrypto>=3.0)
find_library(AIO_LIBRARY aio REQUIRED)
find_path(AIO_INCLUDE_DIR libaio.h REQUIRED)

file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.cpp)
list(FILTER sources EXCLUDE REGEX "/plugin_entry\\.cpp$")
add_library(nvmeof_generic_transport OBJECT ${sources})
target_compile_features(nvmeof_generic_transport PUBLIC cxx_std_20)
target_include_directories(nvmeof_generic_transport PUBLIC ${AIO_INCLUDE_DIR} PRIVATE ${CMAKE_CURRENT_LIST_DIR}/../..)
target_link_libraries(nvmeof_generic_transport PUBLIC PkgConfig::NVMEOF_GENERIC_LIBRARIES ${AIO_LIBRARY} ${CMAKE_DL_LIBS})
if(TARGET glog::glog)
  target_link_libraries(nvmeof_generic_transport PUBLIC glog::glog)
endif()
