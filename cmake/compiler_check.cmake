# Checks, before anything is compiled, that the compiler can build our modules. Later errors, from the middle of a
# build or from the linker, would not show the cause. Used by our own build, and by the build of a project that
# found the package.

# netserve_check_compiler(<library> <problem> [<the standard library that ours was built with>]): sets <library>
# to the standard library in use, libstdc++ or libc++, and <problem> to a sentence if netserve cannot be used,
# else to "".
function(netserve_check_compiler library problem)
  set(${library} "" PARENT_SCOPE)
  if(NOT CMAKE_CXX_COMPILER_LOADED)
    set(${problem} "netserve is a C++ library: enable the language CXX in project() first." PARENT_SCOPE)
    return()
  endif()
  if(NOT CMAKE_GENERATOR MATCHES "^Ninja")
    set(${problem} "netserve is made of C++ modules, which CMake cannot build by \"${CMAKE_GENERATOR}\": use -G Ninja." PARENT_SCOPE)
    return()
  endif()
  set(compiler "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION} (${CMAKE_CXX_COMPILER})")
  # Clang 17 and GCC 14 crash, or lose names of the standard library: docs/compilers.md.
  set(oldest_Clang 18)
  set(oldest_GNU 15)
  if(NOT DEFINED oldest_${CMAKE_CXX_COMPILER_ID} OR
      CMAKE_CXX_COMPILER_VERSION VERSION_LESS oldest_${CMAKE_CXX_COMPILER_ID})
    set(${problem} "netserve is made of C++ modules that need Clang 18 or later, or GCC 15 or later, and the compiler is ${compiler}." PARENT_SCOPE)
    return()
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND NOT CMAKE_CXX_COMPILER_CLANG_SCAN_DEPS)
    string(REGEX MATCH "^[0-9]+" major ${CMAKE_CXX_COMPILER_VERSION})
    set(${problem} "netserve is made of C++ modules that need clang-scan-deps, which was not found beside ${compiler}: install clang-tools-${major}." PARENT_SCOPE)
    return()
  endif()

  # Compiles a file that fails on purpose: its #error names the fact, and no flag suppresses errors. Options that are
  # set for single targets are not seen.
  get_property(options DIRECTORY PROPERTY COMPILE_OPTIONS)
  list(TRANSFORM options REPLACE [[^SHELL: *|^\$<\$<COMPILE_LANGUAGE:CXX>:(.*)>$]] [[\1]])
  list(FILTER options INCLUDE REGEX "^-(stdlib=|f(no-)?(exceptions|rtti)$)")
  try_compile(compiled
    SOURCE_FROM_CONTENT facts.cpp [[
#include <version>
#if !defined __cpp_exceptions
#error netserve-fact:-fno-exceptions;
#elif !defined __cpp_rtti
#error netserve-fact:-fno-rtti;
#elif defined _LIBCPP_VERSION
#error netserve-fact:libc++;
#elif defined __GLIBCXX__
#error netserve-fact:libstdc++;
#else
#error netserve-fact:neither;
#endif
]]
    NO_CACHE
    COMPILE_DEFINITIONS ${options}
    OUTPUT_VARIABLE output
    CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON)
  if(NOT output MATCHES "netserve-fact:([^;]+);")
    set(${problem} "netserve cannot be used, as ${compiler} does not compile this much:\n${output}" PARENT_SCOPE)
    return()
  endif()
  set(fact ${CMAKE_MATCH_1})

  set(sentence "")
  if(fact MATCHES "^-fno")
    set(sentence "netserve reports errors by exceptions and tells classes apart at run time, so it cannot be used with ${fact}.")
  elseif(fact STREQUAL "neither")
    set(sentence "netserve needs libstdc++ or libc++, and ${compiler} uses another standard library.")
  elseif(ARGC GREATER 2 AND NOT fact STREQUAL ARGV2)
    set(sentence "This netserve was built with ${ARGV2}, so it cannot be used with ${fact}: build and install one with ${fact}, or compile with ${ARGV2}.")
  endif()
  set(${problem} "${sentence}" PARENT_SCOPE)
  set(${library} ${fact} PARENT_SCOPE)
endfunction()
