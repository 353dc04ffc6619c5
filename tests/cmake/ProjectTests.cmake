# SPDX-License-Identifier: Apache-2.0
# add_unit_test(name SOURCES a.cpp ... LIBRARIES lib ...): a GoogleTest program that runs on this machine, on
# temporary folders and plain files. Each of its tests is a CTest test with the label "unit".
function(add_unit_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LIBRARIES} GTest::gmock GTest::gtest_main Threads::Threads)
  gtest_discover_tests(${name} TEST_PREFIX "unit." PROPERTIES LABELS unit TIMEOUT 120
                       DISCOVERY_TIMEOUT 60)
endfunction()

# add_kernel_test(name SOURCES ... LIBRARIES ... KERNELS 6.1 6.12 [PROGRAMS p ...] [TIMEOUT seconds]): a GoogleTest
# program that needs a kernel with nvmet. Each kernel gives one CTest test with the label "kernel": the whole
# program in one boot, or on this machine's own kernel where that has nvmet. PROGRAMS are CMake targets or
# programs of this machine that the test starts; they are put beside it in the guest.
function(add_kernel_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LIBRARIES;KERNELS;PROGRAMS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LIBRARIES} GTest::gmock GTest::gtest_main Threads::Threads)
  set(programs)
  foreach(program ${ARG_PROGRAMS})
    if(TARGET ${program})
      list(APPEND programs -p $<TARGET_FILE:${program}>)
    else()
      list(APPEND programs -p ${program})
    endif()
  endforeach()
  foreach(kernel ${ARG_KERNELS})
    add_test(NAME kernel.${kernel}.${name}
             COMMAND ${PROJECT_SOURCE_DIR}/scripts/vm/run_test.sh -k ${kernel} -t ${ARG_TIMEOUT} ${programs}
                     $<TARGET_FILE:${name}>)
    set_tests_properties(kernel.${kernel}.${name} PROPERTIES LABELS kernel RUN_SERIAL ON
                         TIMEOUT ${ARG_TIMEOUT})
  endforeach()
endfunction()
