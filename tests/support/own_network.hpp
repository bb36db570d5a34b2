// A network that a test has for itself: two interfaces joined by a cable, and nothing else.
#pragma once

#include <array>
#include <string>

#include "process.hpp"

namespace support {

// Why this process can make none, or open no packet sockets in it; empty if it can.
std::string why_no_own_network();

// Puts the thread that makes it, and the programs that it starts, into the network; back at the
// end.
class OwnNetwork {
 public:
  // The interfaces, which are up, and their hardware addresses.
  static constexpr const char* left = "left";
  static constexpr const char* right = "right";
  static constexpr std::array<unsigned char, 6> left_address{2, 0, 0, 0, 0, 1};
  static constexpr std::array<unsigned char, 6> right_address{2, 0, 0, 0, 0, 2};

  OwnNetwork();
  OwnNetwork(const OwnNetwork&) = delete;
  OwnNetwork& operator=(const OwnNetwork&) = delete;
  ~OwnNetwork();

 private:
  Descriptor before_;
};

}  // namespace support
