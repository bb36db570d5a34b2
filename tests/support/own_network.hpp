// A network that a test has for itself: two interfaces joined by a cable, and nothing else.
#pragma once

#include <array>
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "process.hpp"

namespace support {

// Runs ip(8) with the arguments. Throws what it printed if it fails.
void ip(const std::vector<std::string>& arguments);

// Puts the thread that makes it, and the programs that it starts, into the network; back at the
// end.
class OwnNetwork {
 public:
  // The interfaces, which are up, and their hardware addresses.
  static constexpr const char* left = "left";
  static constexpr const char* right = "right";
  static constexpr std::array<unsigned char, 6> left_address{2, 0, 0, 0, 0, 1};
  static constexpr std::array<unsigned char, 6> right_address{2, 0, 0, 0, 0, 2};

  // A precondition of test cases: false, with the reason, if this process can make no network or
  // open no packet sockets in it.
  static boost::test_tools::assertion_result may_be_made(boost::unit_test::test_unit_id test);

  OwnNetwork();
  OwnNetwork(const OwnNetwork&) = delete;
  OwnNetwork& operator=(const OwnNetwork&) = delete;
  ~OwnNetwork();

 private:
  Descriptor before_;
};

}  // namespace support
