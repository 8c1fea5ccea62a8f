#include "attention.h"

#include <algorithm>
#include <cstdlib>
#include <new>

#include "failure.h"
#include "stopwatch.h"

namespace sampler {
namespace {

struct Planned {
  edgeattn::io::BlockWeights weights;
  edgeattn::Plan plan;
};

/// The next `bytes` of the memory that is left. All of edgeattn's sizes are multiples of its alignment.
std::span<std::byte> take(std::span<std::byte>& left, std::size_t bytes) {
  const std::span<std::byte> taken = left.first(bytes);
  left = left.subspan(bytes);
  return taken;
}

}  // namespace

void Attention::Free::operator()(std::byte* memory) const noexcept { std::free(memory); }

Attention::Attention(const edgeattn::io::SafetensorsFile& file, std::span<const Place> places, std::size_t images,
                     edgeattn::Precision precision, std::size_t threads, pthreadpool_t pool) {
  const edgeattn::Machine machine = edgeattn::detect_machine();
  edgeattn::Gemm gemm;
  check(edgeattn::gemm_traits(machine, gemm));
  std::vector<Planned> planned(places.size());
  for (std::size_t i = 0; i < places.size(); ++i) {
    Planned& p = planned[i];
    check(edgeattn::io::load_block(file, {.prefix = &places[i].prefix}, p.weights));
    check(edgeattn::plan(p.weights.spec, {.batch = images, .height = places[i].side, .width = places[i].side},
                         {.layout = edgeattn::Layout::kNhwc, .threads = threads, .precision = precision}, machine, gemm, p.plan));
    prepared_bytes_ += p.plan.prepared_bytes;
    persistent_bytes_ += p.plan.persistent_bytes;
    scratch_bytes_ = std::max(scratch_bytes_, p.plan.scratch_bytes);
  }

  const std::size_t bytes = prepared_bytes_ + persistent_bytes_ + scratch_bytes_;
  memory_.reset(static_cast<std::byte*>(std::aligned_alloc(edgeattn::Plan::kAlignment, bytes)));
  if (memory_ == nullptr) throw std::bad_alloc();
  std::span<std::byte> left(memory_.get(), bytes);
  const std::span<std::byte> scratch = take(left, scratch_bytes_);
  blocks_.resize(places.size());
  for (std::size_t i = 0; i < places.size(); ++i) {
    const Planned& p = planned[i];
    edgeattn::Prepared prepared;
    check(edgeattn::prepare(p.weights.spec, p.weights.view(), machine, gemm, take(left, p.plan.prepared_bytes), prepared,
                            {.precision = precision, .isa = p.plan.isa}, pool));
    check(edgeattn::bind(p.plan, prepared, take(left, p.plan.persistent_bytes), scratch, pool, blocks_[i]));
  }
}

void Attention::run(std::size_t place, const Maps& maps) {
  const Stopwatch watch;
  check(blocks_[place].run(maps.values, maps.values));
  seconds_ += watch.seconds();
}

}  // namespace sampler
