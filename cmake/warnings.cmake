function(netserve_warnings target)
  if(NOT NETSERVE_WARNINGS)
    return()
  endif()
  set_target_properties(${target} PROPERTIES COMPILE_WARNING_AS_ERROR ON)
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wpedantic
    -Wcast-align -Wcast-qual -Wconversion -Wsign-conversion -Wdouble-promotion -Wformat=2
    -Wimplicit-fallthrough -Wnon-virtual-dtor -Wold-style-cast -Woverloaded-virtual -Wshadow
    -Wundef -Wunused -Wvla)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # GCC knows the first as well, but reports paths that cannot be taken.
    target_compile_options(${target} PRIVATE
      -Wnull-dereference -Wextra-semi -Wshadow-all -Wno-shadow-field-in-constructor
      -Wthread-safety -Wunreachable-code-aggressive -Wmissing-variable-declarations)
  endif()
endfunction()
