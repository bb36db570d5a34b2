// Some tests create children of a process with threads on purpose; by default, the thread sanitizer
// would end them.

extern "C" {
// NOLINTBEGIN(*-reserved-identifier): the sanitizer's name
const char* __tsan_default_options();
const char* __tsan_default_options() { return "die_after_fork=0"; }
// NOLINTEND(*-reserved-identifier)
}
