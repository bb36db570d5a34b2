// What a user writes by mistake must not compile, and the compiler's first message must say what is
// required.

#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

import net.server; // the programs are compiled with the same modules

namespace {

using boost::unit_test::timeout;

// A program: the lines from its comment to the next program's comment.
struct Program {
  std::size_t line;
  std::string message;
  std::optional<std::string> first_error;
};

std::string content(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<Program> programs() {
  constexpr std::string_view mark = "// must not compile: ";
  std::vector<Program> all;
  std::ifstream file(PROGRAMS);
  std::string text;
  for (std::size_t line = 1; std::getline(file, text); ++line) {
    if (text.starts_with(mark)) all.push_back({line, text.substr(mark.size()), {}});
  }
  return all;
}

void replace(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
}

// Returns the command that compiled this file, which compiles the programs as well.
std::string compile_command() {
  const std::string commands = content(BUILD_DIRECTORY "/compile_commands.json");
  const std::string source = " -c " __FILE__;
  const auto end = commands.find(source);
  BOOST_REQUIRE(end != std::string::npos);
  const std::string key = "\"command\": \"";
  const auto begin = commands.rfind(key, end) + key.size();
  std::string command = commands.substr(begin, end - begin);
  command.resize(command.rfind(" -o "));
  replace(command, "\\\"", "\"");
  replace(command, "\\\\", "\\");
  return "cd " BUILD_DIRECTORY " && " + command +
         " -w -fsyntax-only -ferror-limit=0 -fno-color-diagnostics -c " PROGRAMS " 2>&1";
}

std::vector<std::string> compile() {
  std::FILE* const output = ::popen(compile_command().c_str(), "r");
  BOOST_REQUIRE(output != nullptr);
  std::vector<std::string> lines(1);
  for (int letter = 0; (letter = std::getc(output)) != EOF;) {
    if (letter == '\n') {
      lines.emplace_back();
    } else {
      lines.back() += static_cast<char>(letter);
    }
  }
  BOOST_TEST(::pclose(output) != 0);
  return lines;
}

// Returns the line of the programs that a line of the compiler's output refers to.
std::optional<std::size_t> line_of(const std::string& text) {
  const std::string file = PROGRAMS ":";
  if (!text.starts_with(file)) return std::nullopt;
  return std::stoul(text.substr(file.size()));
}

void note(std::vector<Program>& all, const std::string& error, std::size_t line) {
  Program* found = nullptr;
  for (Program& program : all) {
    if (program.line < line) found = &program;
  }
  if (found != nullptr && !found->first_error) found->first_error = error;
}

}  // namespace

BOOST_AUTO_TEST_CASE(each_mistake_is_refused_with_what_is_required, *timeout(60)) {
  std::vector<Program> all = programs();
  BOOST_TEST(all.size() > 40U);
  std::string error;      // the last error, and
  std::size_t about = 0;  // the last line of the programs that it or its notes name
  const auto end_error = [&] {
    if (!error.empty()) note(all, error, about);
    error.clear();
    about = 0;
  };
  for (const std::string& line : compile()) {
    const auto at = line.find(" error: ");
    if (at != std::string::npos) {
      end_error();
      error = line.substr(at + 8);
    }
    if (const auto number = line_of(line)) about = *number;
  }
  end_error();
  for (const Program& program : all) {
    const std::string where = "line " + std::to_string(program.line);
    BOOST_TEST_CONTEXT(where) {
      BOOST_TEST(program.first_error.has_value());
      const std::string said = program.first_error.value_or("");
      BOOST_TEST(said.find(program.message) != std::string::npos, said);
    }
  }
}

// The page does not have the compiler's own messages about names that are not exported.
BOOST_AUTO_TEST_CASE(the_page_has_each_message, *timeout(20)) {
  const std::string page = content(PAGE);
  for (const Program& program : programs()) {
    if (program.message.find("'net") != std::string::npos) continue;
    BOOST_TEST(page.find("| " + program.message) != std::string::npos, program.message);
  }
}
