# What makes a fault of the demo harder to exploit. Consumers of the library get none of this. SECURITY.md has what
# each flag costs, and which flags are left out for that.

# A module and its importers are compiled with the same of these flags: so they are for the whole tree.
add_compile_options(-fPIE)
if(NETSERVE_STACK_PROTECTOR)
  add_compile_options(-fstack-protector-strong)
endif()

# netserve_harden(DEMO LIBRARY...): the system chooses where the demo is loaded, its relocations are read-only
# before main begins, and its stacks are not executable. In optimized builds, calls of the C library are checked
# where the size of the buffer is known.
function(netserve_harden demo)
  target_link_options(${demo} PRIVATE -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
  if(NETSERVE_SANITIZE)
    return() # a sanitizer checks the same calls
  endif()
  foreach(target ${ARGV})
    target_compile_options(${target} PRIVATE
      $<$<CONFIG:Release,RelWithDebInfo,MinSizeRel>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=3>)
  endforeach()
endfunction()
