# What makes a fault of the demo harder to exploit. The library that is installed, and consumers of it, get none of
# this. SECURITY.md has what each flag costs, and which flags are left out for that.

# Read-only relocations before main begins, no executable stacks, and an address that the system chooses.
set(netserve_hardened_link -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)

# netserve_harden(LIBRARY): compiles it, and what links it, with checks of the stack and of the sizes of buffers
# where these are known.
function(netserve_harden library)
  target_compile_options(${library} PUBLIC -fPIE -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
  # Where jumps and returns may lead; each architecture has its own flag, and Clang refuses the other's.
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|i.86)$")
    target_compile_options(${library} PUBLIC -fcf-protection=full)
  elseif(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
    target_compile_options(${library} PUBLIC -mbranch-protection=standard)
  endif()
endfunction()
