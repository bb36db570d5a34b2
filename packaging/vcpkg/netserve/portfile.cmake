# The source is the repository that has this port, so there is nothing to download.
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

vcpkg_check_features(OUT_FEATURE_OPTIONS features FEATURES
  monitor NETSERVE_BUILD_MONITOR)
vcpkg_cmake_configure(
  SOURCE_PATH "${SOURCE_PATH}"
  OPTIONS
    ${features}
    -DNETSERVE_BUILD_DEMO=OFF
    -DNETSERVE_BUILD_EXAMPLES=OFF
    -DNETSERVE_BUILD_TESTS=OFF
    -DNETSERVE_WARNINGS=OFF)
vcpkg_cmake_install()
# Moves the file that describes the Debug libraries beside that of the Release libraries, and changes its paths to
# debug/lib.
vcpkg_cmake_config_fixup(CONFIG_PATH lib/cmake/netserve)
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/include" "${CURRENT_PACKAGES_DIR}/debug/share")

set(VCPKG_POLICY_EMPTY_INCLUDE_FOLDER enabled) # no headers but the tests for policies
set(VCPKG_POLICY_SKIP_COPYRIGHT_CHECK enabled) # the owner has not chosen a licence yet
