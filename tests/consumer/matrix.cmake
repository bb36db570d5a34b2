# Whoever consumes us picks a dialect and a build type of their own, and each combination compiles our
# modules anew. Two opposite corners are always tested; the others are labelled slow.
if(NETSERVE_SANITIZE OR NOT NETSERVE_INSTALL)
  return() # a program must be linked with the sanitizers of the library
endif()

function(consumer_test name)
  add_test(NAME ${name} COMMAND ${CMAKE_COMMAND}
    -D name=${name}
    -D netserve_source=${PROJECT_SOURCE_DIR}
    -D netserve_build=${PROJECT_BINARY_DIR}
    -D generator=${CMAKE_GENERATOR}
    -D compiler=${CMAKE_CXX_COMPILER}
    "-D options=${ARGN}"
    -P ${PROJECT_SOURCE_DIR}/tests/consumer/check.cmake)
  set(labels consumer)
  if(NOT name IN_LIST fast_corners)
    list(APPEND labels slow)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT 300 LABELS "${labels}")
  if(NOT name MATCHES package_2)
    set_tests_properties(${name} PROPERTIES COST 100) # twice as long: first, so that none is left alone
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
