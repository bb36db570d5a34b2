// Static tracepoints, USDT: docs/tracing.md. Each is a nop until somebody traces it. For .cpp files
// only, since a module exports no macro. Without Debian's package systemtap-sdt-dev, the macro does
// nothing.
#pragma once

#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#define NETSERVE_PROBE2(name, first, second) DTRACE_PROBE2(netserve, name, first, second)
#else
#define NETSERVE_PROBE2(name, first, second) static_cast<void>(0)
#endif
