// Shared by the tests of programs, which observe the programs from outside.
#pragma once

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <chrono>

namespace support {}

using namespace std::chrono_literals;
using namespace support;
using boost::unit_test::timeout;
namespace data = boost::unit_test::data;
using Clock = std::chrono::steady_clock;

// Far below the drain limit of 10 s, and far above what a loaded machine takes.
constexpr auto quickly = 5s;
