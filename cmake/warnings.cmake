function(netserve_warnings target)
  if(NOT NETSERVE_WARNINGS)
    return()
  endif()
  # Errors only for the compiler that we develop with: each compiler has warnings that others do not have.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION MATCHES "^19[.]")
    set_target_properties(${target} PROPERTIES COMPILE_WARNING_AS_ERROR ON)
  endif()
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wpedantic
    -Wcast-align -Wcast-qual -Wconversion -Wsign-conversion -Wdouble-promotion -Wformat=2
    -Wimplicit-fallthrough -Wnon-virtual-dtor -Wold-style-cast -Woverloaded-virtual
    -Wundef -Wunused -Wvla)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # GCC has the first warning too, but reports paths that cannot be taken.
    target_compile_options(${target} PRIVATE
      -Wnull-dereference -Wextra-semi -Wshadow -Wshadow-all -Wno-shadow-field-in-constructor
      -Wthread-safety -Wunreachable-code-aggressive -Wmissing-variable-declarations)
  else()
    # GCC's -Wshadow also reports variables with the name of a member function. -Wattributes reports always_inline
    # without inline, which we use for functions that other files call as well.
    target_compile_options(${target} PRIVATE -Wshadow=local -Wno-attributes)
  endif()
endfunction()
