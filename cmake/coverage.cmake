# For the whole tree, as the sanitizers are. Counters are relocated so that they can be a file that is
# mapped ("%c" in LLVM_PROFILE_FILE): then they are kept however a process ends, also by _exit(2), by
# SIGKILL, and as a forked child, which counts in its parent's file.
if(NETSERVE_COVERAGE)
  add_compile_options(
    -fprofile-instr-generate -fcoverage-mapping "SHELL:-mllvm -runtime-counter-relocation" -g1)
  add_link_options(-fprofile-instr-generate)
endif()
