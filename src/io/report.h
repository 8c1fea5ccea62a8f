#pragma once

#include <cstddef>
#include <string>

#include "edgeattn/plan.h"
#include "edgeattn/status.h"
#include "errors.h"

/// What the reports on a plan have in common.
namespace edgeattn::io {

/// Bytes for people: "48 B", "1.5 KiB", "16.0 MiB".
std::string human_bytes(std::size_t bytes);

/// A name that is unique in the map: "scores[1]" for slot 1's scores, the bare name for a shared region.
std::string region_label(const Region& region);

/// Bytes of one of the plan's spans.
std::size_t space_bytes(const Plan& plan, Space space);

inline constexpr Space kSpaces[] = {Space::kPrepared, Space::kPersistent, Space::kScratch};

/// Fills `text` with what `make` returns; exceptions become statuses.
template <class Make>
Status report(std::string& text, Make make) noexcept {
  return guarded(StatusCode::kInvalidArgument, "report", [&] {
    text = make();
    return Status();
  });
}

}  // namespace edgeattn::io
