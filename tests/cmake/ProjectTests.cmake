# SPDX-License-Identifier: Apache-2.0
# Not optimised, with line numbers alone: tests take most of the time that building takes, and none of the time that
# running does. What they test is optimised as the preset says.
set(kTestOptions -O0 -g1)

# What every test includes is compiled once: that is about half of what compiling a test takes.
set(kTestHeaders <gmock/gmock.h> <gtest/gtest.h> <filesystem> <fstream> <functional> <map> <thread>)
add_executable(test_headers ${CMAKE_CURRENT_LIST_DIR}/test_headers.cpp)
target_link_libraries(test_headers PRIVATE GTest::gmock GTest::gtest_main Threads::Threads)
target_compile_options(test_headers PRIVATE ${kTestOptions})
target_precompile_headers(test_headers PRIVATE ${kTestHeaders})

# What ThreadSanitizer must know in each program of ours that it watches. Without the second option a forked child that
# starts a thread is ended.
set(kTsanOptions "TSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/cmake/tsan.supp:die_after_fork=0")

# add_unit_test(name SOURCES a.cpp ... LIBRARIES lib ...): a GoogleTest program that runs on this machine, on
# temporary folders and plain files. Each of its tests is a CTest test with the label "unit".
function(add_unit_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LIBRARIES} GTest::gmock GTest::gtest_main Threads::Threads)
  target_compile_options(${name} PRIVATE ${kTestOptions})
  target_precompile_headers(${name} REUSE_FROM test_headers)
  gtest_discover_tests(${name} TEST_PREFIX "unit." DISCOVERY_TIMEOUT 60
                       PROPERTIES LABELS unit TIMEOUT 120
                       ENVIRONMENT ${kTsanOptions})
endfunction()

# add_kernel_test(name SOURCES ... KERNELS 6.1 6.12 [LIBRARIES ...] [PROGRAMS p ...] [FILES f ...] [DISKS MiB ...]
#                 [TIMEOUT seconds]): a GoogleTest program that needs a kernel with nvmet. Each kernel gives one CTest
# test with the label "kernel": the whole program in one boot, or on this machine's own kernel where that has nvmet
# (scripts/vm/run_test.sh). PROGRAMS are CMake targets or programs of this machine that the test starts, FILES are files
# it opens; both are in the guest at the paths they have here, programs also in PATH. A test that has the engine has
# the plugin too. DISKS are the sizes of the empty disks it finds in $NVMEOF_TEST_DISKS.
function(add_kernel_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LIBRARIES;KERNELS;PROGRAMS;FILES;DISKS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LIBRARIES} GTest::gmock GTest::gtest_main Threads::Threads)
  target_compile_options(${name} PRIVATE ${kTestOptions})
  target_precompile_headers(${name} REUSE_FROM test_headers)
  set(options)
  set(own_programs)
  foreach(program ${ARG_PROGRAMS})
    if(TARGET ${program})
      list(APPEND own_programs ${program})
      list(APPEND options -p $<TARGET_FILE:${program}>)
      add_dependencies(${name} ${program})
    else()
      list(APPEND options -p ${program})
    endif()
  endforeach()
  foreach(file ${ARG_FILES})
    list(APPEND options -f ${file})
  endforeach()
  foreach(size ${ARG_DISKS})
    list(APPEND options -d ${size})
  endforeach()
  # Nothing links the plugin: the engine opens it at run time.
  if("transfer_engine" IN_LIST ARG_LIBRARIES OR own_programs)
    if(TARGET mooncake_transport_nvmeof_generic)
      list(APPEND options -f $<TARGET_FILE:mooncake_transport_nvmeof_generic>)
      add_dependencies(${name} mooncake_transport_nvmeof_generic)
    endif()
  endif()
  # The script ends the test itself when the time is over, and shows where it hung: CTest leaves it room for that.
  math(EXPR ctest_timeout "${ARG_TIMEOUT} + 120")
  foreach(kernel ${ARG_KERNELS})
    add_test(NAME kernel.${kernel}.${name}
             COMMAND ${PROJECT_SOURCE_DIR}/scripts/vm/run_test.sh -k ${kernel} -t ${ARG_TIMEOUT} ${options}
                     $<TARGET_FILE:${name}>)
    # A test that cannot run on one of its kernels is told so by KERNELS, not by skipping itself unseen.
    # The longest begin first, so that few are left to run alone at the end.
    set_tests_properties(kernel.${kernel}.${name} PROPERTIES LABELS kernel TIMEOUT ${ctest_timeout} COST ${ARG_TIMEOUT}
                         FAIL_REGULAR_EXPRESSION "\\[  SKIPPED \\];Running 0 tests from")
  endforeach()
endfunction()
