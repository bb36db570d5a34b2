# Clang imports a module only if it was compiled for the importer's own dialect (gnu++20 is not c++20, and neither
# is c++23), and CMake compiles the modules of a target for one dialect only. So there is one target for each
# dialect, which is compiled only if it is used. netserve::netserve (or netserve::monitor) stands for the target
# that fits the target that links it. Used by our own build, and by the build of a project that found the package.

include(${CMAKE_CURRENT_LIST_DIR}/joined_units.cmake)

# The requirements for compiling with our modules, the same for every dialect.
function(netserve_usage target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  # Clang refuses modules that differ in -pthread. We always set it, so it does not matter whether another target
  # of the consumer, or an earlier result of its find_package(Threads), sets it too.
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
    # In our own build, the target of the library compiles the modules for one dialect. An alias makes it the target
    # of that dialect.
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
      # Its objects are not linked: the library contains everything that they define.
      add_library(${target} OBJECT EXCLUDE_FROM_ALL)
      target_sources(${target}
        PUBLIC FILE_SET CXX_MODULES BASE_DIRS ${directories} FILES ${units})
      netserve_usage(${target})
      set_target_properties(${target} PROPERTIES
        CXX_STANDARD ${standard} CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS ${extensions})
      # Linked by its path, as this target has the modules of its own dialect.
      target_link_libraries(${target} PUBLIC $<TARGET_LINKER_FILE:${arg_LIBRARY}>)
      if(arg_IMPORTS)
        target_link_libraries(${target} PUBLIC ${arg_IMPORTS}-${language}${standard})
      endif()
      if(NOT imported)
        add_dependencies(${target} ${arg_LIBRARY})
      endif()
      # The consumer's tools and warnings are meant for the consumer's own code.
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
