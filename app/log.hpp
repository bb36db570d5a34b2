// The demo's log.
#pragma once

// Sends log lines to stderr, without ever waiting for who reads them: a pipe that nobody empties
// must not hold a server up, and least of all its end. What would have to wait is lost.
void log_to_stderr();
