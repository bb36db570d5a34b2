// Static tracepoints (USDT): docs/tracing.md. Each is a nop until a tracer enables it. Without
// Debian's systemtap-sdt-dev there are no tracepoints. This is a header, for .cpp files only,
// because a module exports no macros.
#pragma once

#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#define NETSERVE_PROBE2(name, first, second) DTRACE_PROBE2(netserve, name, first, second)
#else
#define NETSERVE_PROBE2(name, first, second) static_cast<void>(0)
#endif
