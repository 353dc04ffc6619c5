# SPDX-License-Identifier: Apache-2.0
# What is installed, and how other projects find it: find_package(TransferEngine) with the target
# TransferEngine::transfer_engine, or pkg-config transfer_engine; find_package(MooncakeStore) with the target
# MooncakeStore::mooncake_store, or pkg-config mooncake_store. The components are those of the Debian packages
# (Packages.cmake).
include(CMakePackageConfigHelpers)
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME development)
set(header_folder ${CMAKE_INSTALL_INCLUDEDIR}/mooncake)
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/TransferEngine)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ DESTINATION ${header_folder}
        FILES_MATCHING PATTERN "*.h" PATTERN "mooncake_store" EXCLUDE)
install(TARGETS transfer_engine EXPORT TransferEngineTargets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT development)

if(TARGET mooncake_transport_nvmeof_generic)
  # Where the engine looks for it; it in turn finds the engine's library.
  set_target_properties(mooncake_transport_nvmeof_generic PROPERTIES INSTALL_RPATH "$ORIGIN/../..")
  install(TARGETS mooncake_transport_nvmeof_generic
          LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/mooncake/plugins COMPONENT runtime)
endif()

if(TARGET mooncake_store)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/mooncake_store DESTINATION ${header_folder}
          COMPONENT store_development FILES_MATCHING PATTERN "*.h")
  # The engine's library is beside it.
  set_target_properties(mooncake_store PROPERTIES INSTALL_RPATH "$ORIGIN")
  install(TARGETS mooncake_store EXPORT MooncakeStoreTargets
          LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT store_runtime NAMELINK_COMPONENT store_development)
endif()

if(TARGET mooncake_files_store)
  # Below the prefix. Debian's interpreter looks in dist-packages, in /usr without a version in the path.
  cmake_path(GET Python_SITEARCH FILENAME python_packages)
  set(python_folder lib/python${Python_VERSION_MAJOR}.${Python_VERSION_MINOR}/${python_packages})
  if(python_packages STREQUAL "dist-packages" AND CMAKE_INSTALL_PREFIX STREQUAL "/usr")
    set(python_folder lib/python3/dist-packages)
  endif()
  set(PYTHON_INSTALL_DIR ${python_folder} CACHE STRING "Folder of Python's packages, relative to the prefix")
  set(module_folder ${CMAKE_INSTALL_PREFIX}/${PYTHON_INSTALL_DIR}/mooncake_files)
  cmake_path(NORMAL_PATH module_folder)
  file(RELATIVE_PATH module_to_libraries ${module_folder} ${CMAKE_INSTALL_FULL_LIBDIR})
  set_target_properties(mooncake_files_store PROPERTIES INSTALL_RPATH "$ORIGIN/${module_to_libraries}")
  install(TARGETS mooncake_files_store LIBRARY DESTINATION ${PYTHON_INSTALL_DIR}/mooncake_files COMPONENT python)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/python/mooncake_files DESTINATION ${PYTHON_INSTALL_DIR} COMPONENT python
          PATTERN __pycache__ EXCLUDE)
  install(PROGRAMS ${PROJECT_SOURCE_DIR}/python/bench/stress_cluster_benchmark.py
          DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/doc/python3-mooncake-files/examples COMPONENT python)
  # Only for its package, which stands behind a Mooncake that pip has installed: elsewhere it would overwrite that one.
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/python/mooncake_files/drop_in/mooncake DESTINATION ${PYTHON_INSTALL_DIR}
          COMPONENT python_drop_in EXCLUDE_FROM_ALL PATTERN __pycache__ EXCLUDE)
endif()

# Those of the second and third list are for administrators.
set(user_programs transfer_engine_nvmeof_generic_bench)
set(root_programs transfer_engine_metadata_server transfer_engine_file_server nvmeof_generic_admin)
set(store_programs mooncake_file_store)
foreach(program ${user_programs} ${root_programs} ${store_programs})
  if(TARGET ${program})
    set(folder BIN)
    set(section 1)
    set(component tools)
    if(program IN_LIST store_programs)
      set(component store_tools)
    endif()
    if(NOT program IN_LIST user_programs)
      set(folder SBIN)
      set(section 8)
    endif()
    file(RELATIVE_PATH programs_to_libraries ${CMAKE_INSTALL_FULL_${folder}DIR} ${CMAKE_INSTALL_FULL_LIBDIR})
    set_target_properties(${program} PROPERTIES INSTALL_RPATH "$ORIGIN/${programs_to_libraries}")
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_${folder}DIR} COMPONENT ${component})
    install(FILES ${PROJECT_SOURCE_DIR}/packaging/man/${program}.${section}
            DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section} COMPONENT ${component})
  endif()
endforeach()

if(TARGET transfer_engine_file_server)
  # Below /usr nobody looks for configuration.
  set(FILE_SERVER_SYSCONFDIR ${CMAKE_INSTALL_FULL_SYSCONFDIR})
  set(configuration_folder ${CMAKE_INSTALL_SYSCONFDIR})
  if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
    set(configuration_folder ${CMAKE_INSTALL_FULL_SYSCONFDIR})
  endif()
  install(FILES ${PROJECT_SOURCE_DIR}/packaging/transfer_engine_file_server.conf
          DESTINATION ${configuration_folder} COMPONENT tools)
  install(FILES ${PROJECT_SOURCE_DIR}/packaging/needrestart.conf
          DESTINATION ${configuration_folder}/needrestart/conf.d RENAME transfer_engine_file_server.conf COMPONENT tools)
  install(FILES ${PROJECT_SOURCE_DIR}/packaging/man/transfer_engine_file_server.conf.5
          DESTINATION ${CMAKE_INSTALL_MANDIR}/man5 COMPONENT tools)
  configure_file(${PROJECT_SOURCE_DIR}/packaging/transfer_engine_file_server.service.in
                 ${PROJECT_BINARY_DIR}/transfer_engine_file_server.service @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/transfer_engine_file_server.service
          DESTINATION lib/systemd/system COMPONENT tools)
endif()

if(TARGET nvmeof_generic_loop_id)
  install(TARGETS nvmeof_generic_loop_id RUNTIME DESTINATION lib/udev COMPONENT tools)
  install(FILES ${PROJECT_SOURCE_DIR}/packaging/udev/59-nvmeof-generic.rules
                ${PROJECT_SOURCE_DIR}/packaging/udev/61-nvmeof-generic.rules
          DESTINATION lib/udev/rules.d COMPONENT tools)
endif()

if(BUILD_TOOLS)
  install(FILES ${PROJECT_SOURCE_DIR}/packaging/monitoring/alerts.yml ${PROJECT_SOURCE_DIR}/packaging/monitoring/dashboard.json
          DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/doc/transfer-engine-tools/examples COMPONENT tools)
endif()

if(TARGET transfer_engine_metadata_server)
  set(FILE_SERVER_SYSCONFDIR ${CMAKE_INSTALL_FULL_SYSCONFDIR})
  configure_file(${PROJECT_SOURCE_DIR}/packaging/transfer_engine_metadata_server.service.in
                 ${PROJECT_BINARY_DIR}/transfer_engine_metadata_server.service @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/transfer_engine_metadata_server.service
          DESTINATION lib/systemd/system COMPONENT tools)
endif()

install(EXPORT TransferEngineTargets NAMESPACE TransferEngine:: DESTINATION ${package_folder})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/TransferEngineConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/TransferEngineConfig.cmake
                              INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/TransferEngineConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/TransferEngineConfig.cmake
              ${PROJECT_BINARY_DIR}/TransferEngineConfigVersion.cmake
        DESTINATION ${package_folder})

# Relative, so that the installation can be moved as a whole.
file(RELATIVE_PATH pkgconfig_to_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
set(pkgconfig_definitions)
if(USE_NVMEOF_GENERIC)
  set(pkgconfig_definitions -DUSE_NVMEOF_GENERIC)
endif()
configure_file(${CMAKE_CURRENT_LIST_DIR}/transfer_engine.pc.in ${PROJECT_BINARY_DIR}/transfer_engine.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/transfer_engine.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

if(TARGET mooncake_store)
  set(store_package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/MooncakeStore)
  install(EXPORT MooncakeStoreTargets NAMESPACE MooncakeStore:: DESTINATION ${store_package_folder}
          COMPONENT store_development)
  configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/MooncakeStoreConfig.cmake.in
                                ${PROJECT_BINARY_DIR}/MooncakeStoreConfig.cmake
                                INSTALL_DESTINATION ${store_package_folder})
  write_basic_package_version_file(${PROJECT_BINARY_DIR}/MooncakeStoreConfigVersion.cmake
                                   COMPATIBILITY SameMinorVersion)
  configure_file(${CMAKE_CURRENT_LIST_DIR}/mooncake_store.pc.in ${PROJECT_BINARY_DIR}/mooncake_store.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/MooncakeStoreConfig.cmake ${PROJECT_BINARY_DIR}/MooncakeStoreConfigVersion.cmake
          DESTINATION ${store_package_folder} COMPONENT store_development)
  install(FILES ${PROJECT_BINARY_DIR}/mooncake_store.pc
          DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT store_development)
endif()
