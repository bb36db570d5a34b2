# Builds the consumer in an empty directory, against a fresh installation if it must find the package, and runs it.
# Or expects that the package refuses the options.
set(here ${netserve_build}/consumers/${name})
set(ENV{CMAKE_PREFIX_PATH} ${here}/prefix)
file(REMOVE_RECURSE ${here})

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

if(NOT options MATCHES NETSERVE_SOURCE)
  foreach(component library development)
    run(${CMAKE_COMMAND} --install ${netserve_build} --prefix ${here}/prefix --component ${component})
  endforeach()
endif()
set(configure ${CMAKE_COMMAND} -S ${netserve_source}/tests/consumer -B ${here}/build -G ${generator}
  -DCMAKE_CXX_COMPILER=${compiler} ${options})
if(refused)
  execute_process(COMMAND ${configure} RESULT_VARIABLE result ERROR_VARIABLE error COMMAND_ECHO STDOUT)
  string(REGEX REPLACE "[ \n]+" " " error "${error}")  # CMake breaks lines
  if(result EQUAL 0 OR NOT error MATCHES "${refused}")
    message(FATAL_ERROR "expected to be refused as \"${refused}\", not: ${error}")
  endif()
  return()
endif()
run(${configure})
run(${CMAKE_COMMAND} --build ${here}/build)
run(${CMAKE_CTEST_COMMAND} --test-dir ${here}/build --output-on-failure --no-tests=error)
