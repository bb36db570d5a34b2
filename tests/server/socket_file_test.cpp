// The file of a Unix server while other processes put something else in its place.

#include <linux/capability.h>
#include <linux/un.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>

#include "support/server_test.hpp"

namespace {

using boost::unit_test::precondition;
namespace fs = std::filesystem;

template <class P>
using Streams = net::UnixStreamServer<Echo, P>;
template <class P>
using Datagrams = net::UnixDatagramServer<EchoDatagram, P>;
using Servers = std::tuple<Streams<net::Inline>, Datagrams<net::Inline>, Streams<net::ThreadPool>,
                           Datagrams<net::ForkPerRequest>>;

// Calls a function directly after the bind, as another process may act at that moment.
struct AfterBind : net::ServerHooks {
  explicit AfterBind(std::function<void()> function) : then(std::move(function)) {}
  void server_bind(net::Socket& socket, const net::Address& address) override {
    net::ServerHooks::server_bind(socket, address);
    then();
  }
  std::function<void()> then;
};

// Makes the process create files without some permissions.
class Umask {
 public:
  explicit Umask(mode_t mask) : before_(::umask(mask)) {}
  Umask(const Umask&) = delete;
  Umask& operator=(const Umask&) = delete;
  ~Umask() { ::umask(before_); }

 private:
  mode_t before_;
};

unsigned mode_of(const std::string& path) {
  struct stat status{};
  BOOST_TEST(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 0777U;
}

void make_file(const std::string& path, unsigned mode) {
  std::ofstream(path) << "data";
  BOOST_TEST(::chmod(path.c_str(), mode) == 0);
}

void make_socket(const std::string& path, unsigned mode) {
  net::Socket(net::Family::unix_domain).bind(net::Address::unix_path(path));
  BOOST_TEST(::chmod(path.c_str(), mode) == 0);
}

net::ServerOptions open_to_all() {
  auto options = quick();
  options.unix_mode = 0666;
  return options;
}

// The kernel opens the file of a socket for processes with CAP_NET_ADMIN.
boost::test_tools::assertion_result is_privileged(boost::unit_test::test_unit_id) {
  const net::Socket socket(net::Family::unix_domain);
  boost::test_tools::assertion_result result(::ioctl(socket.fileno(), SIOCUNIXFILE) >= 0 ||
                                             errno != EPERM);
  result.message() << "CAP_NET_ADMIN is missing";
  return result;
}

// With the capability that a server of root has, and without it.
void with_and_without_privileges(const std::function<void()>& function) {
  function();
  without_capability(CAP_NET_ADMIN, function);
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_socket_file, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(its_permissions_do_not_depend_on_the_umask, Server, Servers) {
  with_and_without_privileges([] {
    const ScratchDirectory scratch;
    const std::string path = scratch.path("socket");
    for (const mode_t mask : {0U, 022U, 0777U}) {
      const Umask masked(mask);
      for (const unsigned mode : {0600U, 0666U, 0777U, 0U}) {
        auto options = quick();
        options.unix_mode = mode;
        const Server server{net::Address::unix_path(path), options};
        BOOST_TEST(mode_of(path) == mode);
      }
    }
  });
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(the_target_of_a_link_in_its_place_is_not_changed, Server, Servers) {
  with_and_without_privileges([] {
    const ScratchDirectory scratch;
    const std::string path = scratch.path("socket");
    const std::string victim = scratch.path("victim");
    const std::string private_socket = scratch.path("private");
    make_file(victim, 0600);
    make_socket(private_socket, 0600);
    for (const std::string& target : {victim, private_socket, scratch.path("nothing")}) {
      AfterBind hooks([&] {
        fs::remove(path);
        fs::create_symlink(target, path);
      });
      {
        const Server server{net::Address::unix_path(path), open_to_all(), hooks};
        BOOST_TEST(mode_of(victim) == 0600U);
        BOOST_TEST(mode_of(private_socket) == 0600U);
      }
      BOOST_TEST(fs::is_symlink(path));
      BOOST_TEST(fs::exists(victim));
      BOOST_TEST(fs::exists(private_socket));
      fs::remove(path);
    }
  });
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(another_file_in_its_place_is_not_changed, Server, Servers) {
  with_and_without_privileges([] {
    const ScratchDirectory scratch;
    const std::string path = scratch.path("socket");
    const std::string private_socket = scratch.path("private");
    make_socket(private_socket, 0600);
    const std::vector<std::function<void()>> replacements{
        [&] { make_file(path, 0600); },
        [&] { fs::create_hard_link(private_socket, path); },
    };
    for (const auto& replace : replacements) {
      AfterBind hooks([&] {
        fs::remove(path);
        replace();
      });
      {
        const Server server{net::Address::unix_path(path), open_to_all(), hooks};
        BOOST_TEST(mode_of(path) == 0600U);
      }
      BOOST_TEST(fs::exists(path));  // the end of the server leaves it alone
      fs::remove(path);
    }
    BOOST_TEST(mode_of(private_socket) == 0600U);
  });
}

// Without a privilege, a server cannot distinguish a socket file that was moved there from its own.
BOOST_TEST_DECORATOR(*timeout(20) * precondition(is_privileged))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_privileged_server_knows_its_file_by_the_socket, Server, Servers) {
  const ScratchDirectory scratch;
  const std::string path = scratch.path("socket");
  const std::string moved = scratch.path("moved");
  const std::string private_socket = scratch.path("private");
  make_socket(private_socket, 0600);
  AfterBind hooks([&] {
    fs::rename(path, moved);
    fs::rename(private_socket, path);
  });
  const Umask masked(022);
  {
    const Server server{net::Address::unix_path(path), open_to_all(), hooks};
    BOOST_TEST(mode_of(path) == 0600U);
    BOOST_TEST(mode_of(moved) == 0666U);
  }
  BOOST_TEST(fs::exists(path));
}

// The server follows the link neither when it checks whether a dead server left the file, nor when
// it removes its own file.
BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_link_at_its_path_is_in_use, Server, Servers) {
  const ScratchDirectory scratch;
  const std::string path = scratch.path("socket");
  const std::string target = scratch.path("target");
  make_socket(target, 0600);  // the file of a dead server
  fs::create_symlink(target, path);
  BOOST_CHECK_THROW(Server(net::Address::unix_path(path), open_to_all()), std::system_error);
  BOOST_TEST(fs::is_symlink(path));
  BOOST_TEST(mode_of(target) == 0600U);
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_link_to_its_moved_file_stays_at_the_end, Server, Servers) {
  const ScratchDirectory scratch;
  const std::string path = scratch.path("socket");
  const std::string moved = scratch.path("moved");
  {
    const Server server{net::Address::unix_path(path), open_to_all()};
    fs::rename(path, moved);
    fs::create_symlink(moved, path);
  }
  BOOST_TEST(fs::is_symlink(path));
  BOOST_TEST(fs::is_socket(moved));
}

BOOST_AUTO_TEST_SUITE_END()
