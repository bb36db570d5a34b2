# A static Debug library and a shared Release library in one prefix: a consumer of either build type gets its own.
set(here ${netserve_build}/consumers/${name})
set(ENV{CMAKE_PREFIX_PATH} ${here}/prefix)
file(REMOVE_RECURSE ${here})

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

function(install_build directory)
  foreach(component library development)
    run(${CMAKE_COMMAND} --install ${directory} --prefix ${here}/prefix --component ${component})
  endforeach()
endfunction()

function(build_library type shared)
  run(${CMAKE_COMMAND} -S ${netserve_source} -B ${here}/${type} -G ${generator} -DCMAKE_CXX_COMPILER=${compiler}
    -DCMAKE_BUILD_TYPE=${type} -DBUILD_SHARED_LIBS=${shared}
    -DNETSERVE_BUILD_MONITOR=OFF -DNETSERVE_BUILD_DEMO=OFF -DNETSERVE_BUILD_EXAMPLES=OFF -DNETSERVE_BUILD_TESTS=OFF)
  run(${CMAKE_COMMAND} --build ${here}/${type} --target netserve-library)
  install_build(${here}/${type})
endfunction()

# The library of this build is one of the two.
install_build(${netserve_build})
if(build_type STREQUAL "Debug")
  build_library(Release ON)
else()
  build_library(Debug ON)
endif()

foreach(type Debug Release)
  set(build ${here}/consumer_${type})
  run(${CMAKE_COMMAND} -S ${netserve_source}/tests/consumer -B ${build} -G ${generator}
    -DCMAKE_CXX_COMPILER=${compiler} -DCMAKE_BUILD_TYPE=${type})
  run(${CMAKE_COMMAND} --build ${build})
  run(${CMAKE_CTEST_COMMAND} --test-dir ${build} --output-on-failure --no-tests=error)
  execute_process(COMMAND readelf --dynamic ${build}/consumer OUTPUT_VARIABLE needed COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCH "libnetserve[^]]*" library "${needed}")
  if(type STREQUAL build_type)
    set(expected "")
  elseif(type STREQUAL "Debug")
    set(expected "libnetserve-debug.so.${soversion}")
  else()
    set(expected "libnetserve.so.${soversion}")
  endif()
  if(NOT library STREQUAL expected)
    message(FATAL_ERROR "the ${type} consumer needs \"${library}\", not \"${expected}\"")
  endif()
endforeach()
