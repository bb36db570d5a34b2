# Set for the whole tree, as the sanitizers are. Counters are relocated so that they can be in a mapped file ("%c"
# in LLVM_PROFILE_FILE). Then they are kept no matter how a process ends, even by _exit(2) or SIGKILL, and a
# forked child counts in its parent's file.
if(NETSERVE_COVERAGE)
  add_compile_options(
    -fprofile-instr-generate -fcoverage-mapping "SHELL:-mllvm -runtime-counter-relocation" -g1)
  add_link_options(-fprofile-instr-generate)
endif()
