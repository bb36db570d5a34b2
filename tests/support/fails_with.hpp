#pragma once

#include <boost/test/unit_test.hpp>
#include <exception>
#include <string>
#include <system_error>

// Returns whether a call throws a `std::system_error` with exactly this condition; if not, the
// result has a message that says what the call did instead.
template <class Call>
boost::test_tools::assertion_result fails_with(std::errc expected, Call&& call) {
  boost::test_tools::assertion_result result(false);
  try {
    call();
    result.message() << "no exception";
  } catch (const std::system_error& error) {
    if (error.code() == expected) return true;
    result.message() << error.code() << ", " << error.what();
  } catch (const std::exception& error) {
    result.message() << "not a system_error: " << error.what();
  }
  return result;
}

// Returns the message of the exception that a call throws, or an empty string if it throws none.
template <class Call>
std::string text_of_failure(Call&& call) {
  try {
    call();
  } catch (const std::exception& error) {
    return error.what();
  }
  return {};
}
