# Makes faults of the demo harder to exploit. These flags apply neither to the installed library nor to its
# consumers. SECURITY.md lists the cost of each flag, and the flags that are left out because of their cost.

# Relocations that are read-only before main begins, no executable stacks, and an address that the system chooses.
set(netserve_hardened_link -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)

# netserve_harden(LIBRARY): compiles the library, and the targets that link it, with checks of the stack and of
# buffer sizes where these are known.
function(netserve_harden library)
  target_compile_options(${library} PUBLIC -fPIE -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
  # Restricts the targets of jumps and returns. Each architecture has its own flag; Clang refuses the other one.
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|i.86)$")
    target_compile_options(${library} PUBLIC -fcf-protection=full)
  elseif(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
    target_compile_options(${library} PUBLIC -mbranch-protection=standard)
  endif()
endfunction()
