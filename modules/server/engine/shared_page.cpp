module;

#include <sys/mman.h>

#include <cerrno>
#include <new>

module net.server;

import net.socket;
import :shared_page;

namespace net {
namespace {

void* map_shared(std::size_t size) {
  void* const memory =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw_system_error(errno, "mmap");
  return memory;
}

}  // namespace

template <class T>
SharedWithChildren<T>::SharedWithChildren() : object_(*new(map_shared(sizeof(T))) T) {}

template <class T>
SharedWithChildren<T>::~SharedWithChildren() {
  ::munmap(&object_, sizeof(T));
}

template <class T>
void SharedWithChildren<T>::protect() const noexcept {
  ::mprotect(&object_, sizeof(T), PROT_READ);
}

template class SharedWithChildren<FromChildren>;
template class SharedWithChildren<FromParent>;

}  // namespace net
