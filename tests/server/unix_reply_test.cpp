// Which sockets a server of Unix datagrams answers: the sender's own, and none that a sender could
// reach only with the server's rights.

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>

#include "support/server_test.hpp"

namespace {

namespace fs = std::filesystem;

struct WhoAsks : net::DatagramRequestHandler {
  void handle() {
    const auto& sender = datagram().sender_credentials();
    reply(sender ? std::to_string(sender->process) + " " + std::to_string(sender->user) + " " +
                       std::to_string(sender->group)
                 : "nobody");
  }
};

constexpr unsigned stranger = 65534;

// Changes the working directory, and changes back afterwards.
class WorkingDirectory {
 public:
  explicit WorkingDirectory(const std::string& path) : before_(fs::current_path()) {
    fs::current_path(path);
  }
  WorkingDirectory(const WorkingDirectory&) = delete;
  WorkingDirectory& operator=(const WorkingDirectory&) = delete;
  ~WorkingDirectory() { fs::current_path(before_); }

 private:
  fs::path before_;
};

net::Socket bound(const std::string& path) {
  net::Socket socket(net::Family::unix_domain, net::SocketType::datagram);
  socket.bind(net::Address::unix_path(path));
  socket.settimeout(10s);
  return socket;
}

std::string receive(net::Socket& socket) {
  std::array<std::byte, 200> into{};
  const std::size_t size = socket.recv(into);
  return {reinterpret_cast<const char*>(into.data()), size};
}

bool got_nothing(net::Socket& socket) {
  std::array<std::byte, 200> into{};
  return !socket.try_recv(into);
}

// Runs a function in a child; returns its status.
int in_child(const std::function<int()>& function) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      ::_exit(function());
    } catch (...) {
      ::_exit(101);
    }
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int in_child_of(unsigned user, const std::function<int()>& function) {
  return in_child([&] {
    if (::setresgid(user, user, user) != 0 || ::setresuid(user, user, user) != 0) return 100;
    return function();
  });
}

bool switches_users() {
  if (::geteuid() == 0) return true;
  BOOST_TEST_MESSAGE("it needs root to be another user");
  return false;
}

// A server in a directory that every user may write to, and the directory of another user.
template <class Handler, class Policy>
struct Scene {
  Scene() {
    fs::permissions(scratch.path(""), fs::perms::all);
    fs::create_directory(hidden);
    fs::permissions(hidden, fs::perms::owner_all);
    fs::create_directory(open);
    fs::permissions(open, fs::perms::all);
    auto options = quick();
    options.unix_mode = 0666;
    server.emplace(address, options);
    running.emplace(*server);
  }

  // Stops the server; it must have served and answered this many datagrams.
  void expect(std::uint64_t asked, std::uint64_t answered) {
    BOOST_TEST(soon([&] { return server->stats().served == asked; }));
    running->stop();
    BOOST_TEST(server->stats().replies == answered);
    BOOST_TEST(server->stats().replies_dropped == asked - answered);
  }

  ScratchDirectory scratch;
  const std::string hidden = scratch.path("hidden");
  const std::string open = scratch.path("open");
  const net::Address address = net::Address::unix_path(scratch.path("server"));
  std::optional<net::UnixDatagramServer<Handler, Policy>> server;
  std::optional<Running> running;
};

void ask(net::Socket& client, const net::Address& server, std::string_view text = "hello") {
  client.sendto(net::bytes(text), server);
}

// Makes a system call fail with ENOSYS in this process.
void forbid(unsigned call) {
  std::array<sock_filter, 4> program{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog filter{program.size(), program.data()};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
    ::_exit(99);
  }
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(server_unix_reply, LeavesNothing)

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_client_at_a_path_is_known_and_answered, Policy, Policies) {
  Scene<WhoAsks, Policy> scene;
  const std::string us = std::to_string(::getpid()) + " " + std::to_string(::getuid()) + " " +
                         std::to_string(::getgid());
  net::Socket client = bound(scene.open + "/client");
  ask(client, scene.address);
  BOOST_TEST(receive(client) == us);
  // A sender with a name that the system assigned is answered too.
  BOOST_TEST(DatagramClient(scene.address).ask("hello") == us);
  scene.expect(2, 2);
}

BOOST_AUTO_TEST_CASE(a_datagram_of_the_internet_has_no_user, *timeout(20)) {
  net::UdpServer<WhoAsks> server{loopback(), quick()};
  Running running(server);
  BOOST_TEST(DatagramClient(server).ask("hello") == "nobody");
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_relative_name_is_not_looked_for_where_the_server_works, Policy,
                              Policies) {
  Scene<EchoDatagram, Policy> scene;
  std::optional<net::Socket> client;
  {
    const WorkingDirectory theirs(scene.open);
    client = bound("name");
  }
  {
    const WorkingDirectory ours(scene.hidden);
    net::Socket victim = bound("name");
    ask(*client, scene.address);
    scene.expect(1, 0);
    BOOST_TEST(got_nothing(victim));
  }
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(no_link_is_followed, Policy, Policies) {
  Scene<EchoDatagram, Policy> scene;
  net::Socket victim = bound(scene.hidden + "/control");
  net::Socket client = bound(scene.open + "/client");
  // The client's file has become a link before the answer is sent.
  fs::remove(scene.open + "/client");
  fs::create_symlink("../hidden/control", scene.open + "/client");
  ask(client, scene.address);
  // A directory has become a link.
  fs::create_directory(scene.open + "/inner");
  net::Socket deeper = bound(scene.open + "/inner/control");
  fs::rename(scene.open + "/inner", scene.open + "/elsewhere");
  fs::create_directory_symlink(scene.hidden, scene.open + "/inner");
  ask(deeper, scene.address);
  // A link that the kernel makes is not followed either.
  fs::create_directory(scene.open + "/magic");
  net::Socket magic = bound(scene.open + "/magic/control");
  fs::rename(scene.open + "/magic", scene.open + "/gone");
  fs::create_directory_symlink("/proc/self/cwd/", scene.open + "/magic");
  ask(magic, scene.address);
  scene.expect(3, 0);
  BOOST_TEST(got_nothing(victim));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(what_is_there_instead_of_the_socket_is_left_alone, Policy, Policies) {
  Scene<EchoDatagram, Policy> scene;
  const std::string path = scene.open + "/client";
  net::Socket client = bound(path);
  fs::remove(path);
  ask(client, scene.address);
  fs::create_directory(path);
  ask(client, scene.address);
  fs::remove(path);
  std::ofstream(path) << "a file";
  ask(client, scene.address);
  fs::remove(path);
  net::Socket stream(net::Family::unix_domain);
  stream.bind(net::Address::unix_path(path));
  stream.listen();
  ask(client, scene.address);
  scene.expect(4, 0);
}

// A user can have the answer sent to its own file, and by no trick to the file of another user.
BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_stranger_reaches_itself_alone, Policy, Policies) {
  if (!switches_users()) return;
  Scene<EchoDatagram, Policy> scene;
  net::Socket in_reach = bound(scene.open + "/private");
  fs::permissions(scene.open + "/private", fs::perms::owner_all);
  net::Socket linked = bound(scene.open + "/linked");
  fs::permissions(scene.open + "/linked", fs::perms::owner_all);
  const Gate asked;
  std::thread links([&] {
    // This is what another user may do on a system without fs.protected_hardlinks.
    BOOST_TEST(asked.wait());
    fs::create_hard_link(scene.open + "/linked", scene.open + "/hard");
  });
  const int status = in_child_of(stranger, [&] {
    const std::string path = scene.open + "/stranger";
    net::Socket own = bound(path);
    ask(own, scene.address, "it is mine");
    if (receive(own) != "it is mine") return 1;
    // In a directory that every user may write to, files can be moved as well.
    fs::rename(path, scene.open + "/moved");
    fs::rename(scene.open + "/private", path);
    ask(own, scene.address, "it was moved here");
    net::Socket other = bound(scene.open + "/hard");
    fs::remove(scene.open + "/hard");
    const_cast<Gate&>(asked).open();
    if (!soon([&] { return fs::exists(scene.open + "/hard"); })) return 2;
    ask(other, scene.address, "it is linked");
    return soon([&] { return got_nothing(own) && got_nothing(other); }) ? 0 : 3;
  });
  links.join();
  BOOST_TEST(status == 0);
  scene.expect(3, 1);
  BOOST_TEST(got_nothing(in_reach));
  BOOST_TEST(got_nothing(linked));
}

BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_file_that_the_server_may_not_write_to_is_no_error, Policy,
                              Policies) {
  if (!switches_users()) return;
  const ScratchDirectory scratch;
  fs::permissions(scratch.path(""), fs::perms::all);
  net::Socket closed = bound(scratch.path("closed"));
  fs::permissions(scratch.path("closed"), fs::perms::owner_all);
  const auto address = net::Address::unix_path(scratch.path("server"));
  std::thread asking([&] {
    BOOST_TEST(soon([&] { return fs::exists(scratch.path("server")); }));
    ask(closed, address);
  });
  const int status = in_child_of(stranger, [&] {
    net::UnixDatagramServer<EchoDatagram, Policy> server{address, quick()};
    std::thread serving([&] { server.serve_forever(); });
    const bool dropped = soon([&] { return server.stats().replies_dropped == 1; });
    // A process that gave up its rights still answers its own user.
    net::Socket own = bound(scratch.path("own"));
    ask(own, address);
    const bool answered = receive(own) == "hello";
    server.shutdown();
    serving.join();
    server.server_close(2s);
    return dropped && answered && server.stats().failed == 0 ? 0 : 1;
  });
  asking.join();
  BOOST_TEST(status == 0);
}

// The sender of a datagram is unknown if the datagram arrived before the server asked the kernel
// for senders.
BOOST_TEST_DECORATOR(*timeout(20))
BOOST_AUTO_TEST_CASE_TEMPLATE(a_datagram_that_is_older_than_the_server_is_answered_by_name_alone,
                              Policy, Policies) {
  const ScratchDirectory scratch;
  net::Socket socket = bound(scratch.path("server"));
  const auto address = socket.getsockname();
  net::Socket client = bound(scratch.path("client"));
  DatagramClient named(address);
  ask(client, address, "too early");
  named.send("early");
  net::UnixDatagramServer<EchoDatagram, Policy> server{std::move(socket), quick()};
  Running running(server);
  BOOST_TEST(named.receive() == "early");
  ask(client, address, "in time");
  BOOST_TEST(receive(client) == "in time");
  running.stop();
  BOOST_TEST(server.stats().replies_dropped == 1U);
}

BOOST_AUTO_TEST_CASE(descriptors_that_a_sender_adds_are_not_received, *timeout(20)) {
  net::UnixDatagramServer<EchoDatagram> server{net::Address::unix_unnamed(), quick()};
  const auto before = open_descriptors();
  Running running(server);
  {
    DatagramClient client(server);
    client.socket.connect(client.server);
    const std::array<int, 2> sent{STDIN_FILENO, STDIN_FILENO};
    for (int i = 0; i < 3; ++i) {
      net::send_fds(client.socket, net::bytes("x"), sent);
      BOOST_TEST(client.receive() == "x");
    }
  }
  BOOST_TEST(open_descriptors().size() <= before.size() + 1);  // stdin of the test may be shared
}

// Old kernels, and some seccomp filters, have no openat2.
BOOST_AUTO_TEST_CASE(without_openat2_it_is_the_same, *timeout(20)) {
  const ScratchDirectory scratch;
  const auto address = net::Address::unix_path(scratch.path("server"));
  fs::create_directories(scratch.path("a/b"));
  const int status = in_child([&] {
    forbid(SYS_openat2);
    net::UnixDatagramServer<EchoDatagram> server{address, quick()};
    std::thread serving([&] { server.serve_forever(); });
    int wrong = 0;
    {
      net::Socket client = bound(scratch.path("a//b/./client"));
      ask(client, address);
      if (receive(client) != "hello") wrong |= 1;
      fs::rename(scratch.path("a/b/client"), scratch.path("a/client"));
      fs::create_symlink("../client", scratch.path("a/b/client"));
      ask(client, address);
      if (!soon([&] { return server.stats().replies_dropped == 1; })) wrong |= 4;
      fs::remove(scratch.path("a/b/client"));
      fs::rename(scratch.path("a/client"), scratch.path("a/b/client"));
      ask(client, address);
      if (receive(client) != "hello") wrong |= 2;
      fs::rename(scratch.path("a"), scratch.path("c"));
      fs::create_directory_symlink("c", scratch.path("a"));
      ask(client, address);
      if (!soon([&] { return server.stats().replies_dropped == 2; })) wrong |= 4;
      if (!got_nothing(client)) wrong |= 8;
    }
    server.shutdown();
    serving.join();
    server.server_close(2s);
    return wrong;
  });
  BOOST_TEST(status == 0);
}

BOOST_AUTO_TEST_SUITE_END()
