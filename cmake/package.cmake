# Installs the library, the sources of the interface units, the tests for policies (headers), the package config
# and the demo. Compiled modules are not installed: they fit only the exact compiler and flags that made them.
# Debug and another build type can share one prefix: their libraries have different names, and each build type has
# a file that describes its libraries to the package.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/netserve)
set(modules_dir ${CMAKE_INSTALL_DATADIR}/netserve/modules)
set(include_dir ${CMAKE_INSTALL_INCLUDEDIR})

# Components: "library", needed by programs that are linked with the shared library; "development"; "demo".
install(TARGETS netserve-library
  LIBRARY COMPONENT library NAMELINK_COMPONENT development
  ARCHIVE COMPONENT development
  FILE_SET CXX_MODULES DESTINATION ${modules_dir} COMPONENT development)
set(monitor_path)
if(NETSERVE_BUILD_MONITOR)
  install(TARGETS netserve-monitor-library
    ARCHIVE COMPONENT development
    FILE_SET CXX_MODULES DESTINATION ${modules_dir} COMPONENT development)
  set(monitor_path "\${_IMPORT_PREFIX}/${CMAKE_INSTALL_LIBDIR}/$<TARGET_FILE_NAME:netserve-monitor-library>")
endif()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/netserve DESTINATION ${include_dir} COMPONENT development)

set(build_type $<IF:$<STREQUAL:$<CONFIG>,>,noconfig,$<CONFIG>>)
set(libraries_of_build_type ${PROJECT_BINARY_DIR}/netserve-libraries-$<LOWER_CASE:${build_type}>.cmake)
# The variable must be named _IMPORT_PREFIX: vcpkg moves the libraries of a Debug build, and changes the paths that
# begin with it.
file(GENERATE OUTPUT ${libraries_of_build_type} CONTENT
"set(netserve_build_type $<UPPER_CASE:${build_type}>)
set(netserve_library_file \"\${_IMPORT_PREFIX}/${CMAKE_INSTALL_LIBDIR}/$<TARGET_LINKER_FILE_NAME:netserve-library>\")
set(netserve_monitor_file \"${monitor_path}\")
")
configure_package_config_file(cmake/netserve-config.cmake.in netserve-config.cmake
  INSTALL_DESTINATION ${package_dir} PATH_VARS modules_dir include_dir)
write_basic_package_version_file(netserve-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES
  ${PROJECT_BINARY_DIR}/netserve-config.cmake
  ${PROJECT_BINARY_DIR}/netserve-config-version.cmake
  ${libraries_of_build_type}
  ${PROJECT_SOURCE_DIR}/cmake/compiler_check.cmake
  ${PROJECT_SOURCE_DIR}/cmake/dialects.cmake
  ${PROJECT_SOURCE_DIR}/cmake/joined_units.cmake
  DESTINATION ${package_dir} COMPONENT development)

# Only the optimized demo is installed: a demo of a Debug build would overwrite it.
if(NETSERVE_BUILD_DEMO AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  if(BUILD_SHARED_LIBS)
    set_target_properties(netserve-demo PROPERTIES INSTALL_RPATH $ORIGIN/../${CMAKE_INSTALL_LIBDIR})
  endif()
  install(TARGETS netserve-demo RUNTIME COMPONENT demo)
endif()
