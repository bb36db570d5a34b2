// A private network of a test: two interfaces joined by a cable, and nothing else.
#pragma once

#include <array>
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "process.hpp"

namespace support {

// Runs ip(8) with the arguments. If it fails, throws its output.
void ip(const std::vector<std::string>& arguments);

// Moves the thread that constructs it, and the programs that this thread starts, into the network.
// The destructor moves the thread back.
class OwnNetwork {
 public:
  // The interfaces, which are up, and their hardware addresses.
  static constexpr const char* left = "left";
  static constexpr const char* right = "right";
  static constexpr std::array<unsigned char, 6> left_address{2, 0, 0, 0, 0, 1};
  static constexpr std::array<unsigned char, 6> right_address{2, 0, 0, 0, 0, 2};

  // A precondition of test cases: false, with the reason, if this process cannot make a network or
  // cannot open packet sockets in it.
  static boost::test_tools::assertion_result may_be_made(boost::unit_test::test_unit_id test);

  OwnNetwork();
  OwnNetwork(const OwnNetwork&) = delete;
  OwnNetwork& operator=(const OwnNetwork&) = delete;
  ~OwnNetwork();

 private:
  Descriptor before_;
};

}  // namespace support
