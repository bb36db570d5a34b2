# Set for the whole tree, before the first target: a module compiled with other flags cannot be imported.
# Without vptr: to test whether an address is readable, this check writes to a pipe. So it fails in tests that
# use up all descriptors, and it changes the number of system calls, which other tests count.
if(NETSERVE_SANITIZE)
  add_compile_options(
    -fsanitize=${NETSERVE_SANITIZE} -fno-sanitize=vptr -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=${NETSERVE_SANITIZE})
endif()
