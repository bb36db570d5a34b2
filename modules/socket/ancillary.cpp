module;

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

module net.socket;

import :native;

namespace net {
namespace {

constexpr std::size_t header_size = CMSG_LEN(0);

// Far more than a message carries: the kernel limits the ancillary data of a message to
// net.core.optmem_max, which is at most 128 KiB by default.
constexpr std::size_t most_room = std::size_t{16} * 1024 * 1024;

// Calls `visit` with each item of a control buffer. The last item may be truncated.
template <class Visit>
void for_each_item(std::span<const std::byte> control, Visit visit) {
  while (control.size() >= header_size) {
    const auto header = read_as<cmsghdr>(control);
    if (header.cmsg_len < header_size) return;
    const std::size_t length = std::min<std::size_t>(header.cmsg_len, control.size());
    visit(Ancillary::Item{header.cmsg_level, header.cmsg_type,
                          control.subspan(header_size, length - header_size)});
    control = control.subspan(std::min<std::size_t>(CMSG_ALIGN(length), control.size()));
  }
}

bool holds_descriptors(const Ancillary::Item& item) {
  return item.level == SOL_SOCKET && item.type == SCM_RIGHTS;
}

}  // namespace

Ancillary::Ancillary(std::size_t room, std::size_t items) {
  if (room > most_room || items > most_room) {
    throw_system_error(EINVAL, "room for " + std::to_string(items) + " items of " +
                                   std::to_string(room) + " bytes, which must be at most " +
                                   std::to_string(most_room));
  }
  if (room == 0 || items == 0) return;
  // The last item gets no padding: one descriptor more than requested would fit into it.
  room_ = CMSG_LEN(room) + (items - 1) * (header_size + CMSG_ALIGN(1));
}

Ancillary::~Ancillary() = default;

void Ancillary::add(int level, int type, std::span<const std::byte> data) {
  const std::size_t begin = CMSG_ALIGN(control_.size());
  control_.resize(begin + CMSG_SPACE(data.size()));
  cmsghdr header{};
  header.cmsg_len = CMSG_LEN(data.size());
  header.cmsg_level = level;
  header.cmsg_type = type;
  const auto item = std::span(control_).subspan(begin);
  std::memcpy(item.data(), &header, sizeof header);
  std::ranges::copy(data, item.subspan(header_size).begin());
}

void Ancillary::add_descriptors(std::span<const int> descriptors) {
  std::size_t count = descriptors.size();
  for_each_item(control_, [&](const Item& item) {
    if (holds_descriptors(item)) count += item.data.size() / sizeof(int);
  });
  if (count > most_descriptors) {
    throw_system_error(EINVAL, std::to_string(count) + " descriptors in a message, which takes " +
                                   std::to_string(most_descriptors));
  }
  add(SOL_SOCKET, SCM_RIGHTS, std::as_bytes(descriptors));
}

std::vector<Ancillary::Item> Ancillary::items() const {
  std::vector<Item> items;
  for_each_item(control_, [&](const Item& item) { items.push_back(item); });
  return items;
}

std::vector<Descriptor> Ancillary::take_descriptors() {
  return std::exchange(descriptors_, std::vector<Descriptor>());
}

void Ancillary::make_room() {
  descriptors_.clear();
  // Allocates all memory beforehand: once we own the descriptors, nothing may fail.
  descriptors_.reserve(std::min(room_ / sizeof(int), most_descriptors));
  control_.assign(room_, std::byte{0});
}

bool Ancillary::keep(std::size_t size) noexcept {
  control_.resize(std::min(size, control_.size()));
  bool kept = true;
  for_each_item(control_, [&](const Item& item) {
    if (!holds_descriptors(item)) return;
    for (auto left = item.data; left.size() >= sizeof(int); left = left.subspan(sizeof(int))) {
      const int received = read_as<int>(left);
      const int descriptor = above_standard_streams(received);
      if (descriptor != received) {
        // `items` must show the descriptor that we keep.
        const auto at = static_cast<std::size_t>(left.data() - control_.data());
        std::memcpy(control_.data() + at, &descriptor, sizeof descriptor);
      }
      if (descriptor >= 0) descriptors_.emplace_back(descriptor);
      kept = kept && descriptor >= 0;
    }
  });
  return kept;
}

}  // namespace net
