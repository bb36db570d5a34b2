# Debian packages by CPack: libnetserve-dev, and netserve with the demo. docs/packages.md lists their contents.
if(BUILD_SHARED_LIBS OR NOT NETSERVE_BUILD_DEMO OR NOT NETSERVE_BUILD_MONITOR)
  return() # the packages contain the static libraries and the demo
endif()

install(FILES packaging/netserve.bash
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME netserve COMPONENT demo)

if(NOT CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  install(FILES packaging/netserve.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT demo)
  return() # systemd and dpkg use no other prefix
endif()

# Debian requires compressed texts. They contain no time stamp, so the same text gives the same bytes.
function(netserve_compressed source name)
  execute_process(COMMAND gzip --best --no-name --stdout ${PROJECT_SOURCE_DIR}/${source}
    OUTPUT_FILE ${PROJECT_BINARY_DIR}/packages/${name} COMMAND_ERROR_IS_FATAL ANY)
  set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
endfunction()
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
netserve_compressed(packaging/netserve.1 netserve.1.gz)
netserve_compressed(CHANGELOG.md CHANGELOG.md.gz)
install(FILES ${PROJECT_BINARY_DIR}/packages/netserve.1.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT demo)
install(FILES ${PROJECT_BINARY_DIR}/packages/CHANGELOG.md.gz DESTINATION share/doc/netserve COMPONENT demo)
install(FILES ${PROJECT_BINARY_DIR}/packages/CHANGELOG.md.gz DESTINATION share/doc/libnetserve-dev COMPONENT development)

# The units of deploy/, with the path of the program in the package.
foreach(unit netserve.service netserve@.service netserve.socket)
  file(READ deploy/${unit} text)
  string(REPLACE /usr/local/bin/ /usr/bin/ text "${text}")
  string(REPLACE "Documentation=" "Documentation=man:netserve(1) " text "${text}")
  file(CONFIGURE OUTPUT packages/${unit} CONTENT "${text}" @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/packages/${unit} DESTINATION lib/systemd/system COMPONENT demo)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS deploy/${unit})
endforeach()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME netserve)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_COMPONENTS_ALL development demo)
set(CPACK_COMPONENTS_GROUPING IGNORE)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "netserve developers")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libnetserve-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
# The tools that compile modules. Only recommended: a consumer may have them from elsewhere.
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_RECOMMENDS "cmake (>= 3.28), ninja-build (>= 1.11), clang-19, clang-tools-19")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION "Servers of TCP, UDP and Unix sockets with threads, a pool of threads or child
processes for their requests, after Python's socketserver, as named modules.
.
This package has the static libraries, the interface units of the modules, and
the package for CMake. Each consumer compiles the interface units itself.")

set(CPACK_DEBIAN_DEMO_PACKAGE_NAME netserve)
set(CPACK_DEBIAN_DEMO_PACKAGE_SECTION net)
set(CPACK_DEBIAN_DEMO_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_DEMO_PACKAGE_CONTROL_EXTRA
  ${PROJECT_SOURCE_DIR}/packaging/debian/postinst
  ${PROJECT_SOURCE_DIR}/packaging/debian/prerm
  ${PROJECT_SOURCE_DIR}/packaging/debian/postrm)
set(CPACK_COMPONENT_DEMO_DESCRIPTION "The demo server of the library serves an echo over TCP, UDP and Unix sockets,
under limits of time and of connections, with metrics for Prometheus, and
restarts without refusing a client.
.
This package has the server and sandboxed units for systemd, not enabled.")
include(CPack)
