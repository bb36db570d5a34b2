# Builds the consumer from nothing, against a fresh installation if it is to find the package, and runs it.
set(here ${netserve_build}/consumers/${name})
set(ENV{CMAKE_PREFIX_PATH} ${here}/prefix)
file(REMOVE_RECURSE ${here})

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

if(NOT options MATCHES NETSERVE_SOURCE)
  run(${CMAKE_COMMAND} --install ${netserve_build} --prefix ${here}/prefix)
endif()
run(${CMAKE_COMMAND} -S ${netserve_source}/tests/consumer -B ${here}/build -G ${generator}
  -DCMAKE_CXX_COMPILER=${compiler} ${options})
run(${CMAKE_COMMAND} --build ${here}/build)
run(${CMAKE_CTEST_COMMAND} --test-dir ${here}/build --output-on-failure --no-tests=error)
