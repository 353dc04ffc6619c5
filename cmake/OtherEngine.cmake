# SPDX-License-Identifier: Apache-2.0
# The plugin alone, for the engine whose headers are in TRANSFER_ENGINE_DIR/include (docs/mooncake.md).
if(NOT USE_NVMEOF_GENERIC)
  message(FATAL_ERROR "TRANSFER_ENGINE_DIR is for building the plugin, and USE_NVMEOF_GENERIC is off; turn it on")
endif()
get_filename_component(engine_headers "${TRANSFER_ENGINE_DIR}/include" ABSOLUTE)
foreach(header error.h transfer_metadata.h common/base/status.h transport/transport.h)
  if(NOT EXISTS ${engine_headers}/${header})
    message(FATAL_ERROR "TRANSFER_ENGINE_DIR is '${TRANSFER_ENGINE_DIR}', and there is no ${engine_headers}/${header}; "
                        "it takes the folder mooncake-transfer-engine of a Mooncake tree")
  endif()
endforeach()
foreach(hook transport/transport.h:registerLocalFile transport/transport.h:installWithArgs transport/transport.h:file_id
             transfer_metadata.h:file_buffers transfer_metadata.h:nvmeof_generic_trid)
  string(REPLACE ":" ";" hook ${hook})
  list(GET hook 0 header)
  list(GET hook 1 word)
  file(STRINGS ${engine_headers}/${header} found REGEX "${word}")
  if(NOT found)
    message(FATAL_ERROR "The engine in TRANSFER_ENGINE_DIR has no file segments: there is no '${word}' in "
                        "${engine_headers}/${header}; docs/mooncake.md lists what an engine needs for them")
  endif()
endforeach()

add_library(transfer_engine INTERFACE)
target_include_directories(transfer_engine SYSTEM INTERFACE ${engine_headers})
target_link_libraries(transfer_engine INTERFACE PkgConfig::GLOG ${TRANSFER_ENGINE_LIBRARY})

# Of our headers the plugin's alone may be found: the others have the names of the engine's.
set(NVMEOF_GENERIC_INCLUDE_DIR ${PROJECT_BINARY_DIR}/plugin_headers)
file(MAKE_DIRECTORY ${NVMEOF_GENERIC_INCLUDE_DIR}/transport)
foreach(name nvmeof_generic_transport local_file_options.h progress_source.h transport_plugin.h)
  file(CREATE_LINK ${PROJECT_SOURCE_DIR}/include/transport/${name} ${NVMEOF_GENERIC_INCLUDE_DIR}/transport/${name} SYMBOLIC)
endforeach()

add_subdirectory(src/transport/nvmeof_generic_transport)
if(BUILD_TOOLS)
  add_subdirectory(tools/admin)
  install(TARGETS nvmeof_generic_admin RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR})
endif()
install(TARGETS mooncake_transport_nvmeof_generic LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/mooncake/plugins)
