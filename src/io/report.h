#pragma once

#include <cstddef>
#include <string>

#include "edgeattn/plan.h"
#include "edgeattn/status.h"
#include "errors.h"

/// What the reports have in common.
namespace edgeattn::io {

/// Bytes for people: "48 B", "1.5 KiB", "16.0 MiB".
std::string human_bytes(std::size_t bytes);

/// A name that is unique in the map: "scores[1]" for slot 1's scores, the bare name for a shared region.
std::string region_label(const Region& region);

/// "512 channels, 64 x 64 pixels, batch 1", or "512 channels in 8 heads, …".
std::string block_title(const Plan& plan);

/// "2 threads, avx512, nchw, tiles of 252 queries by 512 keys".
std::string run_title(const Plan& plan);

/// A number with that many decimals.
std::string fixed(double value, int decimals);

/// Bytes of one of the plan's spans.
std::size_t space_bytes(const Plan& plan, Space space);

inline constexpr Space kSpaces[] = {Space::kPrepared, Space::kPersistent, Space::kScratch};

/// The phases that a run has.
inline constexpr Phase kRunPhases[] = {Phase::kStatistics, Phase::kPack, Phase::kProject, Phase::kScores,
                                       Phase::kSoftmax,    Phase::kMix,  Phase::kOut,     Phase::kTranspose};

/// Fills `text` with what `make` returns; exceptions become statuses.
template <class Make>
Status report(std::string& text, Make make) noexcept {
  return guarded(StatusCode::kInvalidArgument, "report", [&] {
    text = make();
    return Status();
  });
}

}  // namespace edgeattn::io
