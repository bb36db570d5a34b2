# Installed are the library, the sources of the interface units and the package config; no compiled
# modules, which fit only the exact compiler and flags that made them.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/netserve)
set(modules_dir ${CMAKE_INSTALL_DATADIR}/netserve/modules)
set(library_file ${CMAKE_INSTALL_LIBDIR}/$<TARGET_FILE_NAME:netserve-library>)

install(TARGETS netserve-library FILE_SET CXX_MODULES DESTINATION ${modules_dir})

configure_package_config_file(cmake/netserve-config.cmake.in netserve-config.cmake.in
  INSTALL_DESTINATION ${package_dir} PATH_VARS modules_dir library_file)
file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/netserve-config.cmake
  INPUT ${PROJECT_BINARY_DIR}/netserve-config.cmake.in)
write_basic_package_version_file(netserve-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES
  ${PROJECT_BINARY_DIR}/netserve-config.cmake
  ${PROJECT_BINARY_DIR}/netserve-config-version.cmake
  ${PROJECT_SOURCE_DIR}/cmake/dialects.cmake
  DESTINATION ${package_dir})
