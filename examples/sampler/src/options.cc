#include "options.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>

#include "schedule.h"

namespace sampler {
namespace {

constexpr std::size_t kMostThreads = 1024;  // of an edgeattn plan

const std::map<std::string, edgeattn::Precision> kPrecisions = {
    {"f32", edgeattn::Precision::kFloat32}, {"bf16", edgeattn::Precision::kBfloat16}, {"int8", edgeattn::Precision::kInt8}};

}  // namespace

bool parse_options(int argc, char** argv, Options& options, int& exit_code) {
  CLI::App app("Draws the digits 0 to 9 with a diffusion UNet: convolutions by XNNPACK, attention by edgeattn.", "sampler");
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_option("--weights", options.weights, "safetensors file with the UNet")->type_name("FILE")->required();
  app.add_option("--noise", options.noise, "safetensors file with 'noise' [200, 10, 1, 16, 16]")
      ->type_name("FILE")
      ->required();
  app.add_option("--output", options.output, "PNG to write")->type_name("FILE")->capture_default_str();
  app.add_option("--reference", options.reference,
                 "safetensors file with 'images' [10, 1, 16, 16]: fails above a difference of 0.001, or with less precision than f32 "
                 "below a PSNR of 35 dB")
      ->type_name("FILE");
  std::string precision = "f32";
  app.add_option("--precision", precision, "of attention: f32, bf16 or int8")
      ->type_name("NAME")
      ->check(CLI::IsMember(kPrecisions))
      ->capture_default_str();
  app.add_option("--threads", options.threads, "0: as many as processors")
      ->type_name("N")
      ->check(CLI::Range(std::size_t{0}, kMostThreads))
      ->capture_default_str();
  app.add_option("--steps", options.steps, "stop after the first N of the 200 steps")
      ->type_name("N")
      ->check(CLI::Range(std::size_t{1}, Schedule::kSteps));
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked_for_help) {
    exit_code = app.exit(asked_for_help);
    return false;
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "sampler: %s (see sampler --help)\n", error.what());
    exit_code = kWrongCommandLine;
    return false;
  }
  options.precision = kPrecisions.at(precision);
  if (options.steps == 0) options.steps = Schedule::kSteps;
  return true;
}

}  // namespace sampler
