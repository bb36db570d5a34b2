// The demo's log.
#pragma once

#include <string_view>

// Writes text to stdout or stderr by its descriptor. If nobody reads there any more, or if what is
// there takes nothing for 200 ms, the text is lost; no SIGPIPE ends the program.
void write_text(int descriptor, std::string_view text);

// Sends log lines to stderr, without ever waiting for who reads them: a pipe or a terminal that
// nobody empties must not hold a server up, and least of all its end. What would have to wait is
// lost.
void log_to_stderr();
