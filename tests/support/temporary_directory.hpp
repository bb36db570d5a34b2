#pragma once

#include <stdlib.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <string>

// A temporary directory of a test, removed with its contents.
class TemporaryDirectory {
 public:
  TemporaryDirectory() { BOOST_REQUIRE(::mkdtemp(name_.data()) != nullptr); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(name_, ignored);
  }
  std::string path(const std::string& file) const { return name_ + '/' + file; }

 private:
  std::string name_ = "/tmp/netserve-XXXXXX";
};
