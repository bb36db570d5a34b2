// Our own policies, tested by the suite that users run for theirs.

#include <netserve/policy_conformance.hpp>

using net::ForkPerRequest;
using net::Inline;
using net::Overload;
using net::ThreadPerRequest;
using net::ThreadPool;

NETSERVE_POLICY_CONFORMANCE(
    ThreadPool,
    {
        .one_place = [] { return ThreadPool::Options{.workers = 1}; },
        .rejecting = [] { return ThreadPool::Options{.workers = 1, .overload = Overload::reject}; },
        .evicting =
            [] { return ThreadPool::Options{.workers = 1, .overload = Overload::evict_idle}; },
    });
NETSERVE_POLICY_CONFORMANCE(
    ThreadPerRequest,
    {
        .one_place = [] { return ThreadPerRequest::Options{.max_threads = 1}; },
        .rejecting =
            [] {
              return ThreadPerRequest::Options{.max_threads = 1, .overload = Overload::reject};
            },
        .evicting =
            [] {
              return ThreadPerRequest::Options{.max_threads = 1, .overload = Overload::evict_idle};
            },
    });
NETSERVE_POLICY_CONFORMANCE(
    ForkPerRequest,
    {
        .one_place = [] { return ForkPerRequest::Options{.max_children = 1}; },
        .rejecting =
            [] { return ForkPerRequest::Options{.max_children = 1, .overload = Overload::reject}; },
        .evicting =
            [] {
              return ForkPerRequest::Options{.max_children = 1, .overload = Overload::evict_idle};
            },
    });
NETSERVE_POLICY_CONFORMANCE(Inline);
