# A consumer picks its own dialect and build type, and each combination compiles our modules again. Two opposite
# corners are always tested; the others are labelled slow.
if(NETSERVE_SANITIZE OR NOT NETSERVE_INSTALL)
  return() # a program must be linked with the sanitizers of the library
endif()

set(generator ${CMAKE_GENERATOR})
function(consumer_test name)
  add_test(NAME ${name} COMMAND ${CMAKE_COMMAND}
    -D name=${name}
    -D netserve_source=${PROJECT_SOURCE_DIR}
    -D netserve_build=${PROJECT_BINARY_DIR}
    -D "generator=${generator}"
    -D compiler=${CMAKE_CXX_COMPILER}
    "-D options=${ARGN}"
    "-D refused=${refused}"
    -P ${PROJECT_SOURCE_DIR}/tests/consumer/check.cmake)
  set(labels consumer)
  if(NOT name IN_LIST fast_corners)
    list(APPEND labels slow)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT 600 LABELS "${labels}")
  if(NOT name MATCHES package_2)
    set_tests_properties(${name} PROPERTIES COST 100) # twice as long: starts first, so that it does not run alone at the end
  endif()
endfunction()

# A subdirectory compiles the whole library, with the modules that the package's corners have tried:
# two opposite ones show that it works.
set(subdirectory_corners 20_extensions_Release 23_Debug)
set(fast_corners consumer_package_23_extensions_Debug consumer_package_20_Release)

foreach(way package subdirectory)
  set(from)
  if(way STREQUAL subdirectory)
    set(from -DNETSERVE_SOURCE=${PROJECT_SOURCE_DIR})
  endif()
  foreach(standard 20 23)
    foreach(extensions ON OFF)
      foreach(type Debug Release)
        set(corner ${standard}_extensions_${type})
        if(NOT extensions)
          set(corner ${standard}_${type})
        endif()
        if(way STREQUAL subdirectory AND NOT corner IN_LIST subdirectory_corners)
          continue()
        endif()
        consumer_test(consumer_${way}_${corner} ${from} -DCMAKE_BUILD_TYPE=${type}
          -DCMAKE_CXX_STANDARD=${standard} -DCMAKE_CXX_EXTENSIONS=${extensions})
      endforeach()
    endforeach()
  endforeach()
endforeach()
consumer_test(consumer_package_mixed -DCMAKE_BUILD_TYPE=Debug -DMIXED=ON)
consumer_test(consumer_package_conformance -DCMAKE_BUILD_TYPE=Debug -DCONFORMANCE=ON)

if(CMAKE_BUILD_TYPE MATCHES "^(Debug|Release)$" AND NOT BUILD_SHARED_LIBS)
  get_target_property(soversion netserve-library SOVERSION)
  add_test(NAME consumer_package_side_by_side COMMAND ${CMAKE_COMMAND}
    -D name=consumer_package_side_by_side
    -D netserve_source=${PROJECT_SOURCE_DIR}
    -D netserve_build=${PROJECT_BINARY_DIR}
    -D build_type=${CMAKE_BUILD_TYPE}
    -D soversion=${soversion}
    -D generator=${CMAKE_GENERATOR}
    -D compiler=${CMAKE_CXX_COMPILER}
    -P ${PROJECT_SOURCE_DIR}/tests/consumer/side_by_side.cmake)
  set_tests_properties(consumer_package_side_by_side PROPERTIES TIMEOUT 600 LABELS "consumer;slow" COST 200)
endif()

# The package must be refused with OPTIONS, for a reason that matches.
function(refused_test name reason)
  set(refused ${reason})
  consumer_test(consumer_refused_${name} ${ARGN})
  set_tests_properties(consumer_refused_${name} PROPERTIES LABELS consumer COST 0)
endfunction()
refused_test(exceptions "cannot be used with -fno-exceptions" -DCMAKE_CXX_FLAGS=-fno-exceptions)
refused_test(rtti "cannot be used with -fno-rtti" -DCMAKE_CXX_FLAGS=-fno-rtti)
refused_test(rtti_option "cannot be used with -fno-rtti" -DOPTION=-fno-rtti)
# The macro stands for the other standard library, because its headers need not be here.
set(other_library libc.. -D_LIBCPP_VERSION=1)
if(netserve_standard_library STREQUAL libc++)
  set(other_library libstdc.. "-U_LIBCPP_VERSION -D__GLIBCXX__=1")
endif()
list(POP_FRONT other_library other_name)
refused_test(library "so it cannot be used with ${other_name}:"
  "-DCMAKE_CXX_FLAGS=${other_library}")
refused_test(component "has no component .nonsense." -DCOMPONENTS=nonsense)
find_program(MAKE make)
if(MAKE)
  set(generator "Unix Makefiles")
  refused_test(generator "cannot build by .Unix Makefiles.: use -G Ninja")
  set(generator ${CMAKE_GENERATOR})
endif()
# The compilers of Debian 12 by these names are too old for modules.
foreach(compiler g++ clang++)
  find_program(OTHER_${compiler} ${compiler})
  execute_process(COMMAND ${OTHER_${compiler}} -dumpversion OUTPUT_VARIABLE version ERROR_QUIET)
  if(version AND version VERSION_LESS 15)
    refused_test(${compiler} "need Clang 18 or later, or GCC 15 or later, and the compiler is [A-Z][A-Za-z]+ 1[0-9]"
      -DCMAKE_CXX_COMPILER=${OTHER_${compiler}})
  endif()
endforeach()
