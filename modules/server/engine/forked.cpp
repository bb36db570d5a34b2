module;

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <new>

module net.server;

import net.socket;
import :fork_scope;
import :forked;

namespace net {
namespace {

std::atomic<Process> current{1};
std::atomic<unsigned> host_forks{0};
thread_local bool forks_for_request = false;
std::atomic<bool> forks_expected{false};
// Descriptors that were opened by a process with a lower number are closed here. Set in a child for
// one request.
std::atomic<Process> bare_since{0};

std::mutex first_use_mutex;
std::mutex mutex_of_watches;

void before_fork() {
  ForkScope::lock();
  mutex_of_watches.lock();
}

void after_fork() {
  mutex_of_watches.unlock();
  ForkScope::unlock();
}

void in_parent() {
  after_fork();
  if (!forks_for_request) host_forks.fetch_add(1, std::memory_order_relaxed);
}

void in_child() {
  after_fork();
  current.fetch_add(1, std::memory_order_relaxed);
  // A thread that does not exist in the child may hold this mutex.
  std::construct_at(&first_use_mutex);
}

// --- the bitmap -------------------------------------------------------------------------------

constexpr std::size_t bits_in_word = 64;
constexpr std::size_t words_in_chunk = 512;
constexpr std::size_t bits_in_chunk = bits_in_word * words_in_chunk;
constexpr std::size_t chunks = (std::size_t{1} << 31U) / bits_in_chunk;

struct Chunk {
  std::array<std::atomic<std::uint64_t>, words_in_chunk> words{};
};

// The table grows by chunks that are never freed, so it needs no lock.
std::array<std::atomic<Chunk*>, chunks> table;
std::atomic<std::size_t> chunks_used{0};
std::atomic<std::size_t> bits_set{0};

Chunk& chunk_of(std::size_t index) {
  Chunk* chunk = table[index].load(std::memory_order_acquire);
  if (chunk != nullptr) return *chunk;
  auto made = std::make_unique<Chunk>();
  if (table[index].compare_exchange_strong(chunk, made.get(), std::memory_order_acq_rel)) {
    chunk = made.release();
  }
  std::size_t used = chunks_used.load();
  while (used <= index && !chunks_used.compare_exchange_weak(used, index + 1)) {
  }
  return *chunk;
}

std::uint64_t bit_of(std::size_t number) noexcept {
  return std::uint64_t{1} << (number % bits_in_word);
}

void close_run(unsigned first, unsigned last) noexcept {
  // Kernels before 5.9 and some system call filters refuse close_range.
  if (first != last && ::close_range(first, last, 0) == 0) return;
  for (unsigned number = first; number <= last; ++number) ::close(static_cast<int>(number));
}

// Combines numbers, which must be added in ascending order, into runs, and closes each run.
class Runs {
 public:
  void add(unsigned number) noexcept {
    if (any_ && number == last_ + 1) {
      last_ = number;
      return;
    }
    close();
    any_ = true;
    first_ = last_ = number;
  }
  void close() noexcept {
    if (any_) close_run(first_, last_);
    any_ = false;
  }

 private:
  bool any_ = false;
  unsigned first_ = 0;
  unsigned last_ = 0;
};

}  // namespace

Process this_process() noexcept { return current.load(std::memory_order_relaxed); }

void notice_forks() {
  static const int error = ::pthread_atfork(before_fork, in_parent, in_child);
  if (error != 0) throw_system_error(error, "pthread_atfork");
}

unsigned forks_by_host() noexcept { return host_forks.load(std::memory_order_relaxed); }

int fork_for_request() noexcept {
  forks_for_request = true;
  const int process = ::fork();
  const int error = errno;
  forks_for_request = false;
  errno = error;
  return process;
}

void OwnDescriptors::add(int descriptor) {
  const auto number = static_cast<std::size_t>(descriptor);
  const std::uint64_t before = chunk_of(number / bits_in_chunk)
                                   .words[number % bits_in_chunk / bits_in_word]
                                   .fetch_or(bit_of(number), std::memory_order_relaxed);
  if ((before & bit_of(number)) == 0) bits_set.fetch_add(1, std::memory_order_relaxed);
}

void OwnDescriptors::remove(int descriptor) noexcept {
  if (descriptor < 0) return;
  const auto number = static_cast<std::size_t>(descriptor);
  Chunk* const chunk = table[number / bits_in_chunk].load(std::memory_order_acquire);
  if (chunk == nullptr) return;
  const std::uint64_t before = chunk->words[number % bits_in_chunk / bits_in_word].fetch_and(
      ~bit_of(number), std::memory_order_relaxed);
  if ((before & bit_of(number)) != 0) bits_set.fetch_sub(1, std::memory_order_relaxed);
}

std::size_t OwnDescriptors::count() noexcept { return bits_set.load(std::memory_order_relaxed); }

void OwnDescriptors::replace(int descriptor, int substitute) noexcept {
  if (descriptor < 0) return;
  if (substitute >= 0 && forks_expected.load()) ::dup3(substitute, descriptor, O_CLOEXEC);
  remove(descriptor);
}

void OwnDescriptors::expect_forks() noexcept { forks_expected.store(true); }

void OwnDescriptors::close_all_but(int kept) noexcept {
  Runs runs;
  const auto kept_number = static_cast<std::size_t>(kept);
  const std::size_t kept_word = kept_number - kept_number % bits_in_word;
  const std::size_t used = chunks_used.load();
  for (std::size_t i = 0; i < used; ++i) {
    Chunk* const chunk = table[i].load(std::memory_order_acquire);
    if (chunk == nullptr) continue;
    for (std::size_t j = 0; j < words_in_chunk; ++j) {
      const std::uint64_t word = chunk->words[j].load(std::memory_order_relaxed);
      const std::size_t first = i * bits_in_chunk + j * bits_in_word;
      for (std::uint64_t left = word; left != 0; left &= left - 1) {
        const std::size_t number = first + static_cast<std::size_t>(std::countr_zero(left));
        if (number != kept_number) runs.add(static_cast<unsigned>(number));
      }
      // Most words are zero. Writing them would copy the page, so they are skipped.
      if (word != 0)
        chunk->words[j].fetch_and(first == kept_word ? bit_of(kept_number) : 0,
                                  std::memory_order_relaxed);
    }
  }
  runs.close();
  bits_set.store(1);
  bare_since.store(this_process());
}

bool OwnDescriptors::closed_here(Process opened_in) noexcept {
  return opened_in < bare_since.load();
}

std::mutex& first_use() noexcept { return first_use_mutex; }

std::mutex& watches_mutex() noexcept { return mutex_of_watches; }

void keep_for_ever(const void* object) noexcept {
  struct Kept {
    const void* object;
    Kept* next;
  };
  static std::atomic<Kept*> all{nullptr};
  auto* const kept = new (std::nothrow) Kept{object, all.load()};
  if (kept == nullptr) return;
  while (!all.compare_exchange_weak(kept->next, kept)) {
  }
}

}  // namespace net
