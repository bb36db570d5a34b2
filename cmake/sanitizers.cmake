# For the whole tree and before the first target: a module compiled with other flags cannot be imported.
if(NETSERVE_SANITIZE)
  add_compile_options(
    -fsanitize=${NETSERVE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -gline-tables-only)
  add_link_options(-fsanitize=${NETSERVE_SANITIZE})
endif()
