#include "residual.h"

#include "embedding.h"

namespace sampler {

Residual::Residual(const edgeattn::io::SafetensorsFile& file, const std::string& name, const Maps& in, const Maps& out,
                   const ResidualScratch& scratch, pthreadpool_t pool)
    : in_(in),
      out_(out),
      normalized_in_(MapMemory::reuse(scratch.normalized, in.side, in.channels)),
      normalized_out_(MapMemory::reuse(scratch.normalized, out.side, out.channels)),
      hidden_(MapMemory::reuse(scratch.hidden, out.side, out.channels)),
      n1_(file, name + ".n1", in.channels),
      n2_(file, name + ".n2", out.channels),
      c1_(file, name + ".c1", 3, 1, normalized_in_, hidden_, pool),
      c2_(file, name + ".c2", 3, 1, normalized_out_, out, pool),
      t_(file, name + ".t", Embedding::kSize, 2 * out.channels),
      modulation_(in.images * 2 * out.channels),
      pool_(pool) {
  if (in.channels != out.channels) skip_.emplace(file, name + ".skip", 1, 1, in, hidden_, pool);
}

void Residual::run(const float* embedding) {
  n1_.run(in_, nullptr, normalized_in_, pool_);
  c1_.run();
  t_.run(embedding, in_.images, modulation_.data());
  n2_.run(hidden_, modulation_.data(), normalized_out_, pool_);
  c2_.run();
  if (skip_) skip_->run();
  const float* const skipped = skip_ ? hidden_.values : in_.values;
  for (std::size_t i = 0; i < out_.elements(); ++i) out_.values[i] += skipped[i];
}

}  // namespace sampler
