# SPDX-License-Identifier: Apache-2.0
# How an engine's tree builds a transport of its own.
cmake_minimum_required(VERSION 3.16)
project(other_engine)
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_FLAGS "${CMAKE_CXX_FLAGS} -Wall -Wextra -Wno-unused-parameter -fPIC")
add_compile_definitions(USE_NVMEOF_GENERIC)
include_directories(include)
add_subdirectory(src/transport/nvmeof_generic_transport)
add_library(transfer_engine STATIC $<TARGET_OBJECTS:nvmeof_generic_transport>)
target_link_libraries(transfer_engine PUBLIC nvmeof_generic_transport aio nvme)
