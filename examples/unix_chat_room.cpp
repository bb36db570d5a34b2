// A chat for the users of this host: each line of a client is sent to all clients. The handlers
// share a room, which they get from the factory.

#include <mutex>
#include <set>
#include <string>
#include <system_error>

#include "serve.hpp"

namespace {

class Room {
 public:
  int enter(net::Socket& member) {
    const std::lock_guard lock(mutex_);
    members_.insert(&member);
    return ++visits_;
  }
  void leave(net::Socket& member) {
    const std::lock_guard lock(mutex_);
    members_.erase(&member);
  }
  // Does not wait for a member that does not read: this member misses the line.
  void say(const std::string& line) {
    const std::lock_guard lock(mutex_);
    for (net::Socket* const member : members_) {
      try {
        member->try_send(net::bytes(line));
      } catch (const std::system_error&) {
        // The member has left. Its own handler will notice.
      }
    }
  }

 private:
  std::mutex mutex_;
  std::set<net::Socket*> members_;
  int visits_ = 0;
};

struct Member : net::StreamRequestHandler {
  explicit Member(Room& entered) : room(entered) {}
  void setup() override { name = "guest " + std::to_string(room.enter(request())); }
  void finish() override { room.leave(request()); }
  void handle() {
    while (const auto line = rfile.read_line(1000)) room.say(name + ": " + std::string(*line));
  }
  Room& room;
  std::string name;
};

}  // namespace

int main(int argc, char** argv) {
  Room room;
  net::UnixStreamServer<Member, net::ThreadPerRequest> server{unix_address(argc, argv),
                                                              [&room] { return Member(room); }};
  serve(server);
}
