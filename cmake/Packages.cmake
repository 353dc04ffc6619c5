# SPDX-License-Identifier: Apache-2.0
# Debian packages, one for each component of Install.cmake. scripts/package.sh builds them with the preset "package",
# which puts everything where Debian has it.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_VENDOR "Mooncake NVMe-oF")
set(CPACK_PACKAGE_CONTACT "Mooncake NVMe-oF <root@localhost>" CACHE STRING "Maintainer of the packages")
set(CPACK_PACKAGE_HOMEPAGE_URL "https://github.com/kvcache-ai/Mooncake")
set(CPACK_PACKAGING_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL runtime development tools)
if(BUILD_STORE)
  list(APPEND CPACK_COMPONENTS_ALL store_runtime store_development store_tools)
endif()
if(TARGET mooncake_files_store)
  list(APPEND CPACK_COMPONENTS_ALL python python_drop_in)
endif()
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS OFF)

set(engine_package libtransfer-engine${PROJECT_VERSION_MAJOR})
set(store_package libmooncake-store${PROJECT_VERSION_MAJOR})
set(packaging ${PROJECT_SOURCE_DIR}/packaging/debian)

# The project's own description stands above each of these.
set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME ${engine_package})
set(CPACK_DEBIAN_RUNTIME_DESCRIPTION
"The engine's library and the nvmeof_generic transport, which exports local
files and block devices through the Linux kernel's NVMe-oF target (nvmet) and
reads and writes those of other nodes through its initiator (nvme), over TCP
or RDMA.")
# Others are built against exactly this one: engine and plugin refuse each other otherwise.
set(CPACK_DEBIAN_RUNTIME_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY "=")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_RECOMMENDS kmod)

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libtransfer-engine-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION
"Headers in C++ and C, and what CMake (TransferEngine) and pkg-config
(transfer_engine) need to find the library.")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "${engine_package} (= ${PROJECT_VERSION}), libgoogle-glog-dev, pkg-config")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SHLIBDEPS OFF)

set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME transfer-engine-tools)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_TOOLS_DESCRIPTION
"A daemon that serves the files of its configuration, a metadata server, the
operator's tool nvmeof_generic_admin, and a benchmark. The daemon's service is
neither enabled nor started by the installation: it has to be told first what
to serve, and to whom.")
# The programs load the plugin at run time.
set(CPACK_DEBIAN_TOOLS_PACKAGE_DEPENDS "${engine_package} (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_TOOLS_PACKAGE_RECOMMENDS kmod)
set(CPACK_DEBIAN_TOOLS_PACKAGE_CONTROL_EXTRA
    ${packaging}/conffiles ${packaging}/postinst ${packaging}/prerm ${packaging}/postrm)

set(CPACK_DEBIAN_STORE_RUNTIME_PACKAGE_NAME ${store_package})
set(CPACK_DEBIAN_STORE_RUNTIME_DESCRIPTION
"The library of the object store: put and get by key, on the files and SSDs of
all nodes, with a directory on SQLite or etcd and no server of its own.")
set(CPACK_DEBIAN_STORE_RUNTIME_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_STORE_RUNTIME_PACKAGE_DEPENDS "${engine_package} (= ${PROJECT_VERSION})")

set(CPACK_DEBIAN_STORE_DEVELOPMENT_PACKAGE_NAME libmooncake-store-dev)
set(CPACK_DEBIAN_STORE_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_STORE_DEVELOPMENT_DESCRIPTION
"Headers of the object store in C++, and what CMake (MooncakeStore) and
pkg-config (mooncake_store) need to find the library.")
set(CPACK_DEBIAN_STORE_DEVELOPMENT_PACKAGE_DEPENDS
    "${store_package} (= ${PROJECT_VERSION}), libtransfer-engine-dev (= ${PROJECT_VERSION}), libexpected-dev")
set(CPACK_DEBIAN_STORE_DEVELOPMENT_PACKAGE_SHLIBDEPS OFF)

set(CPACK_DEBIAN_STORE_TOOLS_PACKAGE_NAME mooncake-store-tools)
set(CPACK_DEBIAN_STORE_TOOLS_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_STORE_TOOLS_DESCRIPTION
"mooncake_file_store shows what an object store holds and where, puts, gets and
verifies objects, empties files, forgets those that will not come back, and
makes a lost directory again from the files.")
set(CPACK_DEBIAN_STORE_TOOLS_PACKAGE_DEPENDS
    "${store_package} (= ${PROJECT_VERSION}), ${engine_package} (= ${PROJECT_VERSION})")

if(TARGET mooncake_files_store)
  # Bytecode is made where it is installed, and goes with it.
  set(python_scripts ${packaging}/python/postinst ${packaging}/python/prerm)
  math(EXPR next_python_minor "${Python_VERSION_MINOR} + 1")
  set(CPACK_DEBIAN_PYTHON_PACKAGE_NAME python3-mooncake-files)
  set(CPACK_DEBIAN_PYTHON_PACKAGE_SECTION python)
  set(CPACK_DEBIAN_PYTHON_DESCRIPTION
"The object store for Python, with the classes and methods of Mooncake's
mooncake.store, and a benchmark. python3 -m mooncake_files.run runs programs
that were written for Mooncake's store.")
  string(JOIN ", " CPACK_DEBIAN_PYTHON_PACKAGE_DEPENDS
         "python3 (>= 3.${Python_VERSION_MINOR})" "python3 (<< 3.${next_python_minor})" python3-numpy
         "${store_package} (= ${PROJECT_VERSION})" "${engine_package} (= ${PROJECT_VERSION})")
  set(CPACK_DEBIAN_PYTHON_PACKAGE_RECOMMENDS kmod)
  set(CPACK_DEBIAN_PYTHON_PACKAGE_CONTROL_EXTRA ${python_scripts})

  set(CPACK_DEBIAN_PYTHON_DROP_IN_PACKAGE_NAME python3-mooncake-store)
  set(CPACK_DEBIAN_PYTHON_DROP_IN_PACKAGE_SECTION python)
  set(CPACK_DEBIAN_PYTHON_DROP_IN_PACKAGE_ARCHITECTURE all)
  set(CPACK_DEBIAN_PYTHON_DROP_IN_DESCRIPTION
"The module mooncake.store as the store of python3-mooncake-files, for programs
that import it. A Mooncake that pip has installed goes before it.")
  set(CPACK_DEBIAN_PYTHON_DROP_IN_PACKAGE_DEPENDS "python3-mooncake-files (= ${PROJECT_VERSION})")
  set(CPACK_DEBIAN_PYTHON_DROP_IN_PACKAGE_SHLIBDEPS OFF)
  set(CPACK_DEBIAN_PYTHON_DROP_IN_PACKAGE_CONTROL_EXTRA ${python_scripts})
endif()

# Each package says under which licence it is.
foreach(component ${CPACK_COMPONENTS_ALL})
  string(TOUPPER ${component} upper)
  install(FILES ${packaging}/copyright
          DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/doc/${CPACK_DEBIAN_${upper}_PACKAGE_NAME} COMPONENT ${component})
endforeach()

include(CPack)
