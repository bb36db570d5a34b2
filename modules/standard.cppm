/// \file
/// `net.standard`, internal: the standard library names that our interfaces use.
///
/// If an interface unit includes a standard header, the compiler writes the whole header into the
/// compiled interface of that unit, and every importer merges this copy with all others. This takes
/// seconds for each unit, in every project that builds the library. So the headers are included
/// once, here. Importing `net` does not make these names visible to the importer. Implementation
/// units include the headers that they need, as usual.
module;

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <compare>
#include <concepts>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <initializer_list>
#include <iosfwd>
#include <iterator>
#include <limits>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

// The check in CMake does not see the options of individual targets and build types.
#ifndef __cpp_exceptions
#error "netserve reports errors by exceptions, so it cannot be used with -fno-exceptions"
#endif
#ifndef __cpp_rtti
#error "netserve tells classes apart at run time, so it cannot be used with -fno-rtti"
#endif

export module net.standard;

// Exports the names in the same way as the standard library's own module.
export namespace std {

using std::array;
using std::as_bytes;
using std::atomic;
using std::byte;
using std::clamp;
using std::condition_variable;
using std::constructible_from;
using std::countr_zero;
using std::data;
using std::decay_t;
using std::default_initializable;
using std::derived_from;
using std::errc;
using std::error_category;
using std::error_code;
using std::exception_ptr;
using std::exchange;
using std::forward;
using std::function;
using std::initializer_list;
using std::int64_t;
using std::is_abstract_v;
using std::is_arithmetic_v;
using std::is_base_of_v;
using std::is_class_v;
using std::is_const_v;
using std::is_final_v;
using std::is_lvalue_reference_v;
using std::list;
using std::lock_guard;
using std::max;
using std::memcpy;
using std::memory_order_acq_rel;
using std::memory_order_acquire;
using std::memory_order_relaxed;
using std::memory_order_release;
using std::min;
using std::move;
using std::mutex;
using std::nullopt;
using std::numeric_limits;
using std::optional;
using std::ostream;
using std::pair;
using std::ptrdiff_t;
using std::remove_reference_t;
using std::runtime_error;
using std::same_as;
using std::shared_ptr;
using std::size;
using std::size_t;
using std::span;
using std::string;
using std::string_view;
using std::strong_ordering;
using std::system_error;
using std::to_integer;
using std::type_info;
using std::uint16_t;
using std::uint32_t;
using std::uint64_t;
using std::uint8_t;
using std::unique_lock;
using std::unique_ptr;
using std::unsigned_integral;
using std::vector;

using std::operator==;
using std::operator<=>;
using std::operator+;

namespace chrono {

using std::chrono::duration;
using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using std::chrono::years;

using std::chrono::operator==;
using std::chrono::operator<=>;
using std::chrono::operator<;
using std::chrono::operator+;
using std::chrono::operator-;

}  // namespace chrono

}  // namespace std
