/// \file
/// Module `net`: everything. `import net;` is `import net.server;`, for those who prefer one name.
export module net;

export import net.socket;
export import net.handler;
export import net.server;
