// Draws the digits 0 to 9: a whole diffusion UNet on an edge device's terms. Everything is allocated before the first step;
// what the steps allocate is counted, on all threads, and must be nothing.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "allocations.h"
#include "failure.h"
#include "options.h"
#include "progress.h"
#include "schedule.h"
#include "sheet.h"
#include "stopwatch.h"
#include "tensor_file.h"
#include "unet.h"

namespace sampler {
namespace {

constexpr std::size_t kImages = Embedding::kDigits, kSide = Unet::kSide;
constexpr double kMostDifference = 1e-3, kLeastPsnr = 35;

using Pool = std::unique_ptr<pthreadpool, decltype(&pthreadpool_destroy)>;

Pool make_pool(std::size_t threads) {
  Pool pool(pthreadpool_create(threads), pthreadpool_destroy);
  if (pool == nullptr) throw Failure("pthreadpool cannot start " + std::to_string(threads) + " threads");
  return pool;
}

struct Drawing {
  double seconds = 0;
  AllocationCounts before, after;

  [[nodiscard]] long allocations() const noexcept { return after.allocations - before.allocations; }
  [[nodiscard]] long releases() const noexcept { return after.releases - before.releases; }
};

/// Draws on unet.images().
///
/// @param noise  [Schedule::kSteps, images]: what the first step starts from, then what each step but the last adds
Drawing draw(Unet& unet, std::size_t steps, std::span<const float> noise) {
  const Schedule schedule;
  const Progress progress(steps);
  const std::span<float> x(unet.images().values, unet.images().elements());
  std::ranges::copy(noise.first(x.size()), x.begin());

  Drawing drawing;
  drawing.before = count_allocations();
  const Stopwatch watch;
  for (std::size_t step = 0; step < steps; ++step) {
    const std::size_t t = Schedule::kSteps - 1 - step;
    const Maps& predicted = unet.run(t);
    schedule.step(t, x, predicted.values, t > 0 ? noise.data() + (step + 1) * x.size() : nullptr);
    progress.show(step + 1);
  }
  drawing.seconds = watch.seconds();
  drawing.after = count_allocations();
  return drawing;
}

struct Difference {
  double largest = 0;
  double psnr = 0;  ///< dB, of images from -1 to 1
};

/// NaN if there is one.
Difference compare(const Maps& images, std::span<const float> expected) {
  Difference difference;
  double squares = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double error = std::fabs(double{images.values[i]} - expected[i]);
    if (!(error <= difference.largest)) difference.largest = error;
    squares += error * error;
    if (std::isnan(error)) break;
  }
  difference.psnr = 10 * std::log10(4 * static_cast<double>(expected.size()) / squares);
  return difference;
}

void print_report(const Options& options, std::size_t threads, const Unet& unet, const Drawing& drawing) {
  const Attention& attention = unet.attention();
  std::printf("images      %zu of %zu x %zu pixels; %zu steps on %zu thread%s, attention in %s\n", kImages, kSide, kSide,
              options.steps, threads, threads == 1 ? "" : "s", to_string(options.precision));
  std::printf("time        %.3g s, %.3g ms a step, %.0f %% of it attention\n", drawing.seconds,
              drawing.seconds * 1e3 / static_cast<double>(options.steps), 100 * attention.seconds() / drawing.seconds);
  std::printf("attention   %zu bytes prepared, %zu persistent, %zu scratch\n", attention.prepared_bytes(),
              attention.persistent_bytes(), attention.scratch_bytes());
  std::printf("memory      %ld bytes in all before the first step, %zu of them feature maps\n", drawing.before.live_bytes,
              unet.map_bytes());
  std::printf("allocated   %ld times between the first step and the last, released %ld times\n", drawing.allocations(),
              drawing.releases());
}

void run(const Options& options) {
  const std::size_t threads = options.threads != 0 ? options.threads : std::max(1u, std::thread::hardware_concurrency());
  const std::vector<float> noise =
      read_tensor(open_tensors(options.noise), "noise", {Schedule::kSteps, kImages, 1, kSide, kSide});
  std::optional<std::vector<float>> expected;
  if (!options.reference.empty())
    expected = read_tensor(open_tensors(options.reference), "images", {kImages, 1, kSide, kSide});
  const Pool pool = make_pool(threads);
  Unet unet(open_tensors(options.weights), kImages, options.precision, threads, pool.get());

  const Drawing drawing = draw(unet, options.steps, noise);
  write_sheet(unet.images(), options.output);
  print_report(options, threads, unet, drawing);
  const bool exact = options.precision == edgeattn::Precision::kFloat32;
  bool close = true;
  if (expected) {
    const Difference difference = compare(unet.images(), *expected);
    close = exact ? difference.largest <= kMostDifference : difference.psnr >= kLeastPsnr;
    std::printf("difference  %.3g at most from %s, PSNR %.1f dB; ", difference.largest, options.reference.c_str(), difference.psnr);
    if (exact) std::printf("%g allowed\n", kMostDifference);
    else std::printf("at least %g dB required\n", kLeastPsnr);
  }
  std::printf("output      %s\n", options.output.c_str());

  if (drawing.before.allocations == 0) throw Failure("the count of allocations does not work here");
  if (drawing.allocations() != 0 || drawing.releases() != 0)
    throw Failure("expected no allocation between the first step and the last");
  if (!close) throw Failure("the images differ from those of " + options.reference);
}

}  // namespace
}  // namespace sampler

int main(int argc, char** argv) {
  try {
    sampler::Options options;
    int exit_code = 0;
    if (!sampler::parse_options(argc, argv, options, exit_code)) return exit_code;
    sampler::run(options);
    return 0;
  } catch (const std::bad_alloc&) {
    std::fputs("sampler: out of memory\n", stderr);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "sampler: %s\n", error.what());
  }
  return 1;
}
