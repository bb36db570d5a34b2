// docs/policies.md shows code that is compiled and tested: each block of C++ is a part of an
// example, or of a test.

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace {

using Lines = std::vector<std::string>;

// Returns the lines without indentation and without empty lines, because a block may begin
// anywhere.
Lines lines_of(std::istream& text) {
  Lines lines;
  for (std::string line; std::getline(text, line);) {
    const auto begin = line.find_first_not_of(' ');
    if (begin != std::string::npos) lines.push_back(line.substr(begin));
  }
  return lines;
}

std::vector<Lines> sources() {
  std::vector<std::filesystem::path> paths{SOURCES "/tests/consumer/my_policy_test.cpp",
                                           SOURCES "/tests/server/asio_policy_test.cpp"};
  for (const auto& entry : std::filesystem::directory_iterator(SOURCES "/examples")) {
    paths.push_back(entry.path());
  }
  std::vector<Lines> all;
  for (const auto& path : paths) {
    std::ifstream file(path);
    all.push_back(lines_of(file));
  }
  return all;
}

std::vector<Lines> blocks_of_the_page() {
  std::ifstream page(SOURCES "/docs/policies.md");
  std::vector<Lines> blocks;
  bool inside = false;
  for (const std::string& line : lines_of(page)) {
    if (line == "```cpp") {
      blocks.emplace_back();
      inside = true;
    } else if (line == "```") {
      inside = false;
    } else if (inside) {
      blocks.back().push_back(line);
    }
  }
  return blocks;
}

bool is_in(const Lines& block, const Lines& source) {
  return std::search(source.begin(), source.end(), block.begin(), block.end()) != source.end();
}

}  // namespace

BOOST_AUTO_TEST_CASE(each_block_of_code_is_compiled_and_tested, *boost::unit_test::timeout(20)) {
  const std::vector<Lines> all = sources();
  const std::vector<Lines> blocks = blocks_of_the_page();
  BOOST_TEST(blocks.size() > 10U);
  for (const Lines& block : blocks) {
    const bool found = std::any_of(all.begin(), all.end(),
                                   [&](const Lines& source) { return is_in(block, source); });
    BOOST_TEST(found, "in no example: " << block.front() << " ...");
  }
}
