# Clang imports a module only if it was compiled for the importer's own dialect (gnu++20 is not c++20, and
# neither is c++23), and CMake compiles the modules of a target for one dialect alone. So there is one
# target for each dialect, compiled only if somebody imports it, and netserve::netserve (or
# netserve::monitor) stands for the one that fits whoever links it. Used by our own build, and by that of
# a project that found the package.

include(${CMAKE_CURRENT_LIST_DIR}/joined_units.cmake)

# What compiling with our modules needs, the same for every dialect.
function(netserve_usage target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  # Clang refuses modules that differ in -pthread. With it always on, it does not matter whether some
  # other target of the consumer, or Threads::Threads as first found there, brings it too.
  target_compile_options(${target} PUBLIC -pthread)
  target_link_libraries(${target} PUBLIC Threads::Threads)
endfunction()

# netserve_dialects(NAME <of netserve::NAME> LIBRARY <target> MODULES <directory> UNITS <interface units in it>...
#   [IMPORTS <another NAME, whose modules these import>])
function(netserve_dialects)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME;LIBRARY;MODULES;IMPORTS" "UNITS")
  cmake_path(ABSOLUTE_PATH arg_MODULES NORMALIZE)
  set(prefix netserve)
  if(NOT arg_NAME STREQUAL netserve)
    set(prefix netserve-${arg_NAME})
  endif()

  get_target_property(imported ${arg_LIBRARY} IMPORTED)
  if(imported)
    netserve_join(MODULES ${arg_MODULES} UNITS ${arg_UNITS} OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/${prefix} RESULT units)
    set(directories ${arg_MODULES} ${CMAKE_CURRENT_BINARY_DIR}/${prefix})
  else()
    list(TRANSFORM arg_UNITS PREPEND ${arg_MODULES}/ OUTPUT_VARIABLE units)
    set(directories ${arg_MODULES})
  endif()
  if(NOT imported)
    # The library has been compiled with its modules, for one dialect already.
    set(standard ${CMAKE_CXX_STANDARD_DEFAULT})
    set(extensions ${CMAKE_CXX_EXTENSIONS_DEFAULT})
    if(DEFINED CMAKE_CXX_STANDARD)
      set(standard ${CMAKE_CXX_STANDARD})
    endif()
    if(DEFINED CMAKE_CXX_EXTENSIONS)
      set(extensions ${CMAKE_CXX_EXTENSIONS})
    endif()
    if(NOT standard MATCHES "^2[36]$")
      set(standard 20)
    endif()
    set_target_properties(${arg_LIBRARY} PROPERTIES CXX_STANDARD ${standard} CXX_EXTENSIONS ${extensions})
    if(extensions)
      add_library(${prefix}-gnu++${standard} ALIAS ${arg_LIBRARY})
    else()
      add_library(${prefix}-c++${standard} ALIAS ${arg_LIBRARY})
    endif()
  endif()

  foreach(standard 20 23 26)
    foreach(language c++ gnu++)
      set(target ${prefix}-${language}${standard})
      if(TARGET ${target})
        continue()
      endif()
      string(COMPARE EQUAL ${language} gnu++ extensions)
      # Its objects are not linked: all that they define is in the library.
      add_library(${target} OBJECT EXCLUDE_FROM_ALL)
      target_sources(${target}
        PUBLIC FILE_SET CXX_MODULES BASE_DIRS ${directories} FILES ${units})
      netserve_usage(${target})
      set_target_properties(${target} PROPERTIES
        CXX_STANDARD ${standard} CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS ${extensions})
      # By its path, as the target brings the modules of its own dialect.
      target_link_libraries(${target} PUBLIC $<TARGET_LINKER_FILE:${arg_LIBRARY}>)
      if(arg_IMPORTS)
        target_link_libraries(${target} PUBLIC ${arg_IMPORTS}-${language}${standard})
      endif()
      if(NOT imported)
        add_dependencies(${target} ${arg_LIBRARY})
      endif()
      # The consumer's tools and warnings are for the consumer's code.
      target_compile_options(${target} PRIVATE -w)
      set_target_properties(${target} PROPERTIES
        COMPILE_WARNING_AS_ERROR OFF EXPORT_COMPILE_COMMANDS OFF
        CXX_CLANG_TIDY "" CXX_CPPCHECK "" CXX_CPPLINT "" CXX_INCLUDE_WHAT_YOU_USE "")
    endforeach()
  endforeach()

  # An imported target, so that a consumer can export libraries that link it.
  add_library(netserve::${arg_NAME} INTERFACE IMPORTED GLOBAL)
  set(standard $<TARGET_PROPERTY:CXX_STANDARD>)
  set(standard $<IF:$<STREQUAL:${standard},>,${CMAKE_CXX_STANDARD_DEFAULT},${standard}>)
  set(standard $<IF:$<IN_LIST:${standard},23$<SEMICOLON>26>,${standard},20>)
  set(extensions $<TARGET_PROPERTY:CXX_EXTENSIONS>)
  set(extensions $<IF:$<STREQUAL:${extensions},>,${CMAKE_CXX_EXTENSIONS_DEFAULT},${extensions}>)
  set_target_properties(netserve::${arg_NAME} PROPERTIES
    INTERFACE_LINK_LIBRARIES "${prefix}-$<$<BOOL:${extensions}>:gnu>$<$<NOT:$<BOOL:${extensions}>>:c>++${standard}")
endfunction()
