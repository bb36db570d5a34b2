/// \file
/// Module `net`: everything except `net.monitor` and `net.handover`. `import net;` is a shorter
/// name for `import net.server;`.
export module net;

export import net.socket;
export import net.handler;
export import net.server;
