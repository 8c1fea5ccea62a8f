#include <cstdio>
#include <exception>
#include <string>
#include <string_view>

#include "hostile_files.h"
#include "weights_file.h"

/// Writes weights files to begin fuzzing with: write_seeds FOLDER. Blocks of every key style, tensors of every dtype, and the files
/// that tests/safetensors_hostile_test.cc refuses: what readers had wrong.
namespace edgeattn::fuzz {
namespace {

using test::WeightsFile;

void write_all(const std::string& folder) {
  int number = 0;
  const auto write = [&](std::string_view bytes) { test::write_file(folder + "/seed-" + std::to_string(number++), bytes); };
  for (const test::StyleNames* style : {&test::kDdpm, &test::kDiffusers, &test::kDiffusersLegacy, &test::kCompVis, &test::kGuidedDiffusion}) {
    WeightsFile weights;
    weights.add_block("", *style, {1, 1}, 2);
    write(weights.bytes());
  }
  WeightsFile batch_norm, folded, two;
  batch_norm.add_ddpm("am.");
  batch_norm.add_running("am.");
  write(batch_norm.bytes());
  folded.add_folded("am.");
  write(folded.bytes());
  two.add_ddpm("a.", 2);
  two.add_ddpm("b.", 2);
  write(two.bytes());
  struct Dtype {
    const char* name;
    std::size_t bytes;
  };
  for (const Dtype& dtype : {Dtype{"BOOL", 1}, {"U8", 1}, {"I8", 1}, {"F8_E5M2", 1}, {"F8_E4M3", 1}, {"I16", 2}, {"U16", 2}, {"F16", 2},
                             {"BF16", 2}, {"I32", 4}, {"U32", 4}, {"F32", 4}, {"F64", 8}, {"I64", 8}, {"U64", 8}}) {
    const std::string offsets = "[0," + std::to_string(6 * dtype.bytes) + "]";
    write(test::safetensors(test::tensor('"' + std::string(dtype.name) + '"', "[2,3]", offsets), test::zeros(6 * dtype.bytes)));
  }
  write(test::safetensors(R"({"__metadata__":{"format":"pt","name":"\u00e9\ud834\udd1e"}}  )"));
  write(test::safetensors(test::tensor("\"F32\"", "[]", "[0,4]"), test::zeros(4)));
  for (const test::HostileFile& hostile : test::kHostileFiles) write(hostile.bytes);
}

}  // namespace
}  // namespace edgeattn::fuzz

int main(int count, char** arguments) {
  if (count != 2) return std::fputs("write_seeds FOLDER\n", stderr), 2;
  try {
    edgeattn::fuzz::write_all(arguments[1]);
    return 0;
  } catch (const std::exception& error) {
    return std::fprintf(stderr, "%s\n", error.what()), 1;
  }
}
