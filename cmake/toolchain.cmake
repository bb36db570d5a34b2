# Says early what would otherwise fail in the middle of a build, as "CLANG_SCAN_DEPS-NOTFOUND".
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND NOT CMAKE_CXX_COMPILER_CLANG_SCAN_DEPS)
  string(REGEX MATCH "^[0-9]+" major ${CMAKE_CXX_COMPILER_VERSION})
  message(FATAL_ERROR
    "netserve: clang-scan-deps not found, and modules need it: install clang-tools-${major}")
endif()
