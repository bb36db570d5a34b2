// How the demo server is linked and compiled, as readelf(1) shows it.

#include <string>

#include "support/demo.hpp"
#include "support/process.hpp"
#include "support/program_test.hpp"

namespace {

// Returns what readelf prints about the demo's file with this option.
std::string readelf(const std::string& option) {
  Process process({"readelf", "-W", option, demo({}).front()});
  const std::string said = process.rest_of_stdout();
  BOOST_TEST(process.wait() == 0);
  return said;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Returns the line of a segment of this type; empty if there is none.
std::string segment(const std::string& type) {
  const std::string segments = readelf("--segments");
  const auto begin = segments.find("\n  " + type);
  if (begin == std::string::npos) return {};
  return segments.substr(begin + 1, segments.find('\n', begin + 1) - begin - 1);
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_system_chooses_where_it_is_loaded, *timeout(20)) {
  BOOST_TEST(has(readelf("--file-header"), "DYN (Position-Independent Executable file)"));
  BOOST_TEST(has(readelf("--dynamic"), "Flags: NOW PIE"));
}

BOOST_AUTO_TEST_CASE(its_relocations_are_read_only_before_it_begins, *timeout(20)) {
  BOOST_TEST(!segment("GNU_RELRO").empty());
  BOOST_TEST(has(readelf("--dynamic"), "BIND_NOW"));
  BOOST_TEST(!has(readelf("--dynamic"), "TEXTREL"));
}

BOOST_AUTO_TEST_CASE(it_has_its_tracepoints, *timeout(20)) {
#if __has_include(<sys/sdt.h>)
  const std::string notes = readelf("--notes");
  for (const std::string probe : {"accept", "request_begin", "request_end", "overload", "close"}) {
    BOOST_TEST(has(notes, "Name: " + probe + "\n"), probe);
  }
#else
  BOOST_TEST_MESSAGE("not in this build: there is no sys/sdt.h");
#endif
}

BOOST_AUTO_TEST_CASE(its_stacks_are_not_executable, *timeout(20)) {
  const std::string stack = segment("GNU_STACK");
  BOOST_TEST(has(stack, " RW "), stack);
  BOOST_TEST(!has(readelf("--segments"), " RWE "));
}

BOOST_AUTO_TEST_CASE(optimized_it_checks_its_stacks_and_the_sizes_of_buffers, *timeout(20)) {
#if defined(NETSERVE_FORTIFIED)
  BOOST_TEST(has(readelf("--dyn-syms"), "__memcpy_chk"));
  BOOST_TEST(has(readelf("--dyn-syms"), "__stack_chk_fail"));
#else
  BOOST_TEST_MESSAGE("not in this build: it is not optimized, or has a sanitizer");
#endif
}
