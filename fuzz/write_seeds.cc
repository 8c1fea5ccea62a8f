#include <cstdio>
#include <exception>
#include <string>
#include <string_view>

#include "hostile_files.h"
#include "weights_file.h"

/// Writes weights files to begin fuzzing with: write_seeds FOLDER. Blocks of every key style, tensors of every dtype, indices of
/// sharded models, first bytes of other formats, and the files that tests/safetensors_hostile_test.cc refuses: what readers had
/// wrong.
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
    std::size_t bits;
  };
  for (const Dtype& dtype :
       {Dtype{"BOOL", 8}, {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
        {"F8_E5M2", 8},   {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
        {"U16", 16},      {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
        {"C64", 64},      {"F64", 64},    {"I64", 64},    {"U64", 64}}) {
    for (const std::size_t halves : {1u, 2u, 4u}) {  // whole bytes or not
      const std::size_t bytes = halves * 2 * dtype.bits / 8;
      const std::string offsets = "[0," + std::to_string(bytes) + "]";
      write(test::safetensors(test::tensor('"' + std::string(dtype.name) + '"', "[2," + std::to_string(halves) + "]", offsets),
                              test::zeros(bytes)));
    }
  }
  for (const char* scale : {"x_scale", "scale_weight", "weight_scale_inv", "scaled_fp8"})
    write(test::safetensors(R"({"x":{"dtype":"F8_E5M2","shape":[1],"data_offsets":[0,1]},")" + std::string(scale) +
                                R"(":{"dtype":"F32","shape":[],"data_offsets":[1,5]}})",
                            "abcde"));
  for (const char* index : {R"({"metadata":{"total_size":8},"weight_map":{"x":"a","y":"b"}})", R"({"weight_map":{"x":"a"}})",
                            R"({"weight_map":{"x":"../a","y":"/b"},"deep":[{"weight_map":[1,-2,0.5,null,true]}]})",
                            R"({"weight_map":{"x":"a","x":"b","y":"none"}})"})
    write(index);
  for (const char* foreign :
       {"version https://git-lfs.github.com/spec/v1", "<!doctype html>", "PK\3\4", "\x80\2}q", "GGUF\3", "\x93NUMPY\1",
        "\x1f\x8b\x08", "\x08\7\x12\7pytorch", "\x89HDF\r\n\x1a\n", "\x89PNG\r\n\x1a\n", "404: Not Found"})
    write(std::string(foreign) + test::repeated(" ", 40));
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
