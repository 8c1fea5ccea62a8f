#include <doctest/doctest.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "edgeattn/io.h"
#include "hostile_files.h"
#include "weights_file.h"

using namespace edgeattn;
using namespace edgeattn::test;
using io::SafetensorsFile;

namespace {

Status parsed(std::string_view bytes, SafetensorsFile& file) {
  return SafetensorsFile::parse(bytes_of(bytes), "f", file);
}

}  // namespace

TEST_CASE("safetensors: hostile files are refused, each for its own reason") {
  for (const HostileFile& hostile : kHostileFiles) {
    CAPTURE(std::string(hostile.rule));
    SafetensorsFile file;
    const Status status = parsed(hostile.bytes, file);
    const std::string message = status.message();
    CAPTURE(message);
    CHECK(status.code() == StatusCode::kFormat);
    CHECK(message.starts_with("f: "));
    CHECK(message.find(hostile.message) != std::string::npos);
    CHECK(message.find('\n') == std::string::npos);
    CHECK(file.tensors().empty());
  }
}

TEST_CASE("safetensors: a file cut at any byte is refused") {
  const std::string good = safetensors(kGoodHeader + "  ", zeros(8));
  SafetensorsFile file;
  REQUIRE(parsed(good, file).ok());
  for (std::size_t size = 0; size < good.size(); ++size) {
    CAPTURE(size);
    SafetensorsFile cut;
    CHECK(parsed(good.substr(0, size), cut).code() == StatusCode::kFormat);
  }
}

TEST_CASE("safetensors: a weights file on disk, cut at any byte, is refused in one line") {
  const TempDirectory folder;
  const std::string path = folder / "weights";
  WeightsFile ddpm, folded;
  ddpm.add_ddpm("am.");
  folded.add_folded("am.");
  for (const WeightsFile* weights : {&ddpm, &folded}) {
    const std::string bytes = weights->bytes();
    write_file(path, bytes);
    SafetensorsFile whole;
    REQUIRE(SafetensorsFile::open(path, whole).ok());
    whole = {};
    std::printf("cut at each of %zu bytes\n", bytes.size());
    for (std::size_t size = bytes.size(); size-- > 0;) {
      CAPTURE(size);
      std::filesystem::resize_file(path, size);
      SafetensorsFile cut;
      const Status status = SafetensorsFile::open(path, cut);
      const std::string message = status.message();
      CHECK(status.code() == StatusCode::kFormat);
      CHECK(message.find("weights: ") != std::string::npos);
      CHECK(message.find('\n') == std::string::npos);
      CHECK(cut.tensors().empty());
    }
  }
}

TEST_CASE("safetensors: one byte changed anywhere never does harm") {
  std::string bytes = safetensors(kGoodHeader + "  ", zeros(8));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const char good = bytes[i];
    for (int value = 0; value < 256; ++value) {
      bytes[i] = static_cast<char>(value);
      SafetensorsFile file;
      if (!parsed(bytes, file).ok()) continue;
      std::vector<float> values;
      for (const io::TensorInfo& info : file.tensors()) {
        CHECK(info.offset + info.bytes <= bytes.size());
        static_cast<void>(file.read(info, values));
      }
    }
    bytes[i] = good;
  }
}

TEST_CASE("safetensors: names in messages are cut from the left and keep to one line") {
  const std::string name = repeated("é", 200) + "\\n\\u0000\\u001b[31m\\u0085\\u2028end";
  SafetensorsFile file;
  const std::string message =
      SafetensorsFile::parse(bytes_of(safetensors("{\"" + name + "\":1}")), repeated("dir/", 100) + "f\n.st", file)
          .message();
  CAPTURE(message);
  CHECK(message.starts_with("…"));
  CHECK(message.find("/f?.st: tensor '…") != std::string::npos);
  CHECK(message.find("é???[31m?????end': expected an object, given a number") != std::string::npos);
}
