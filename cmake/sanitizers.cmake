# For the whole tree and before the first target: a module compiled with other flags cannot be imported.
# Without vptr: to learn whether an address can be read, that check writes to a pipe, so it fails in the
# tests that leave no descriptors, and it adds to the system calls that others count.
if(NETSERVE_SANITIZE)
  add_compile_options(
    -fsanitize=${NETSERVE_SANITIZE} -fno-sanitize=vptr -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -g1)
  add_link_options(-fsanitize=${NETSERVE_SANITIZE})
endif()
