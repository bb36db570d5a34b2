// The policy over Asio's pool of docs/policies.md.

// Textual headers come before the suite, which imports.
// clang-format off
#include <asio.hpp>
#include <netserve/policy_conformance.hpp>

#include "asio_policy.hpp"
// clang-format on

namespace {

// The pools of the program. The policy uses one that the program already has.
asio::thread_pool four(4);
asio::thread_pool one(1);

}  // namespace

NETSERVE_POLICY_CONFORMANCE(AsioPolicy,
                            {
                                .options = [] { return AsioPolicy::Options{.pool = &four}; },
                                .one_place = [] { return AsioPolicy::Options{.pool = &one}; },
                                .own_threads = false,
                            });
