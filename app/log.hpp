// The log of the demo.
#pragma once

#include <string_view>

// Writes text to stdout or stderr, given by its descriptor. The text is lost if the reader has
// closed the other end, or takes nothing for 200 ms. A closed pipe raises no SIGPIPE.
void write_text(int descriptor, std::string_view text);

// Sends log lines to stderr without ever waiting for their reader: a pipe or a terminal that is not
// read must not stop a server, least of all during its shutdown. A line that would have to wait is
// lost.
void log_to_stderr();
