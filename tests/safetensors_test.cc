#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "edgeattn/io.h"
#include "files.h"

using namespace edgeattn;
using namespace edgeattn::test;
using io::Dtype;
using io::SafetensorsFile;

namespace {

Status parse(std::string_view bytes, SafetensorsFile& file) {
  return SafetensorsFile::parse(bytes_of(bytes), "f", file);
}

}  // namespace

TEST_CASE("safetensors: tensors are listed in the order of their data") {
  const std::string header = R"({"__metadata__":{"format":"pt","":""},)"
                             R"("z":{"data_offsets":[0,2],"shape":[1,2,1],"dtype":"BOOL"},)"
                             R"("none":{"dtype":"F32","shape":[3,0,2],"data_offsets":[2,2]},)"
                             R"("b":{"dtype":"F64","shape":[],"data_offsets":[6,14]},)"
                             R"("größe.\ud834\udd1e":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}   )";
  SafetensorsFile file;
  const std::string bytes = safetensors(header, zeros(14));
  REQUIRE(std::string(parse(bytes, file).message()) == "");
  CHECK(file.path() == "f");
  REQUIRE(file.tensors().size() == 4);
  const char* names[] = {"z", "none", "größe.𝄞", "b"};
  const std::size_t elements[] = {2, 0, 1, 1};
  for (std::size_t i = 0; i < 4; ++i) {
    const io::TensorInfo& info = file.tensors()[i];
    CHECK(info.name == names[i]);
    CHECK(info.elements() == elements[i]);
    CHECK(file.find(info.name) == &info);
  }
  CHECK(file.tensors()[0].dtype_name == "BOOL");
  CHECK(file.tensors()[0].shape == std::vector<std::size_t>{1, 2, 1});
  CHECK(file.tensors()[3].offset == bytes.size() - 8);
  CHECK(file.find("a") == nullptr);
  CHECK(file.find("zz") == nullptr);

  std::vector<float> values = {7};
  CHECK(file.read(file.tensors()[0], values).code() == StatusCode::kUnsupported);
  const Status none = file.read(*file.find("none"), values);
  CHECK(none.code() == StatusCode::kInvalidArgument);
  CHECK(std::string(none.message()).find("tensor 'none': expected elements") != std::string::npos);
  CHECK(values == std::vector<float>{7});
}

TEST_CASE("safetensors: a file without tensors is a file") {
  SafetensorsFile file;
  CHECK(parse(safetensors("{}"), file).ok());
  CHECK(file.tensors().empty());
  CHECK(parse(safetensors(R"({"__metadata__":{}}     )"), file).ok());
}

TEST_CASE("safetensors: dtypes") {
  struct Row {
    const char* name;
    std::size_t bits;
    Dtype dtype;
  };
  const Row rows[] = {{"F4", 4, Dtype::kOther},          {"F6_E2M3", 6, Dtype::kOther},     {"F6_E3M2", 6, Dtype::kOther},
                      {"BOOL", 8, Dtype::kOther},        {"U8", 8, Dtype::kOther},          {"I8", 8, Dtype::kOther},
                      {"F8_E5M2", 8, Dtype::kF8E5m2},    {"F8_E4M3", 8, Dtype::kF8E4m3},    {"F8_E8M0", 8, Dtype::kOther},
                      {"F8_E4M3FNUZ", 8, Dtype::kOther}, {"F8_E5M2FNUZ", 8, Dtype::kOther}, {"I16", 16, Dtype::kOther},
                      {"U16", 16, Dtype::kOther},        {"F16", 16, Dtype::kF16},          {"BF16", 16, Dtype::kBf16},
                      {"I32", 32, Dtype::kOther},        {"U32", 32, Dtype::kOther},        {"F32", 32, Dtype::kF32},
                      {"C64", 64, Dtype::kOther},        {"F64", 64, Dtype::kF64},          {"I64", 64, Dtype::kOther},
                      {"U64", 64, Dtype::kOther}};
  for (const Row& row : rows) {
    CAPTURE(std::string(row.name));
    const std::string dtype = '"' + std::string(row.name) + '"';
    for (const std::size_t eighths : {0u, 1u, 3u, 8u}) {
      const std::string bytes = std::to_string(eighths * row.bits);
      const std::string good =
          safetensors(tensor(dtype, "[2," + std::to_string(4 * eighths) + "]", "[0," + bytes + "]"), zeros(eighths * row.bits));
      SafetensorsFile file;
      REQUIRE(std::string(parse(good, file).message()) == "");
      CHECK(file.tensors()[0].dtype == row.dtype);
      const bool readable = row.dtype != Dtype::kOther;
      std::vector<float> values;
      const Status status = file.read(file.tensors()[0], values);
      const StatusCode expected = !readable      ? StatusCode::kUnsupported
                                  : eighths == 0 ? StatusCode::kInvalidArgument
                                                 : StatusCode::kOk;
      CHECK(status.code() == expected);
      if (!readable) CHECK(std::string(status.message()).find("tensor 'x': expected dtype F64, F32, ") != std::string::npos);
      if (!readable) CHECK(std::string(status.message()).ends_with("given " + std::string(row.name)));
      CHECK(values == std::vector<float>(readable ? 8 * eighths : 0));
    }
  }
}

namespace {

/// Writes one tensor, unaligned in the file when `header_padding` says so, and reads it back.
template <class T>
std::vector<float> converted(const char* dtype, const std::vector<T>& stored, std::size_t header_padding = 0) {
  std::string data;
  for (const T value : stored) data += little_endian(value);
  const std::string header = tensor('"' + std::string(dtype) + '"', '[' + std::to_string(stored.size()) + ']',
                                    "[0," + std::to_string(data.size()) + ']');
  const std::string bytes = safetensors(header + std::string(header_padding, ' '), data);
  SafetensorsFile file;
  REQUIRE(parse(bytes, file).ok());
  std::vector<float> values;
  REQUIRE(file.read(file.tensors()[0], values).ok());
  return values;
}

/// IEEE 754 binary16 from its definition.
double half_value(unsigned half) {
  const int exponent = static_cast<int>(half >> 10 & 31u);
  const int fraction = static_cast<int>(half & 1023u);
  const double magnitude = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return (half & 0x8000u) != 0 ? -magnitude : magnitude;
}

}  // namespace

TEST_CASE("safetensors: every F16 and BF16 value is converted exactly") {
  std::vector<std::uint16_t> all(65536);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint16_t>(i);
  const std::vector<float> halves = converted("F16", all);
  const std::vector<float> bfloats = converted("BF16", all);
  for (unsigned i = 0; i < 65536; ++i) {
    CAPTURE(i);
    REQUIRE(std::bit_cast<std::uint32_t>(bfloats[i]) == i << 16);
    REQUIRE(std::signbit(halves[i]) == (i >= 0x8000));
    if ((i >> 10 & 31u) != 31u) {
      REQUIRE(halves[i] == half_value(i));
    } else if ((i & 1023u) == 0) {
      REQUIRE(std::isinf(halves[i]));
    } else {
      REQUIRE(std::isnan(halves[i]));
    }
  }
}

TEST_CASE("safetensors: every F8_E4M3 and F8_E5M2 value is converted exactly") {
  std::vector<std::uint8_t> all(256);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint8_t>(i);
  const std::vector<float> e4m3 = converted("F8_E4M3", all), e5m2 = converted("F8_E5M2", all);
  for (unsigned i = 0; i < 256; ++i) {
    CAPTURE(i);
    const int exponent4 = static_cast<int>(i >> 3 & 15u), fraction3 = static_cast<int>(i & 7u);
    const double value4 = exponent4 == 0 ? fraction3 / 8.0 * std::exp2(-6) : (1 + fraction3 / 8.0) * std::exp2(exponent4 - 7);
    REQUIRE(std::signbit(e4m3[i]) == (i >= 128));
    if ((i & 127u) == 127u) REQUIRE(std::isnan(e4m3[i]));
    else REQUIRE(std::fabs(double{e4m3[i]}) == value4);

    const int exponent5 = static_cast<int>(i >> 2 & 31u), fraction2 = static_cast<int>(i & 3u);
    const double value5 = exponent5 == 0 ? fraction2 / 4.0 * std::exp2(-14) : (1 + fraction2 / 4.0) * std::exp2(exponent5 - 15);
    REQUIRE(std::signbit(e5m2[i]) == (i >= 128));
    if (exponent5 < 31) REQUIRE(std::fabs(double{e5m2[i]}) == value5);
    else REQUIRE((fraction2 == 0 ? std::isinf(e5m2[i]) : std::isnan(e5m2[i])));
  }
  // As the OCP specification lists them: the least, the greatest and one.
  CHECK(e4m3[0x01] == 0x1p-9f);
  CHECK(e4m3[0x7E] == 448);
  CHECK(e4m3[0x38] == 1);
  CHECK(e5m2[0x01] == 0x1p-16f);
  CHECK(e5m2[0x7B] == 57344);
  CHECK(e5m2[0xBC] == -1);
}

TEST_CASE("safetensors: 8-bit floats with a scale are refused, and the scale is named") {
  struct Row {
    const char* tensor;
    const char* key;
    bool scales;
  };
  const Row rows[] = {{"a.q.weight", "a.q.weight_scale", true},
                      {"a.q.weight", "a.q.scale_weight", true},
                      {"a.q.weight", "a.q.weight_scale_inv", true},
                      {"a.q.weight", "a.q.input_scale", true},
                      {"a.q.weight", "a.q.weight.scale", true},
                      {"a.q.weight", "a.q.weight_quantizer._amax", true},
                      {"a.q.weight", "scaled_fp8", true},
                      {"a.q.weight", "a.scaled_fp8", true},
                      {"weight", "weight_scale", true},
                      {"a.q.weight", "b.q.weight_scale", false},
                      {"a.q.weight", "a.q2.weight_scale", false},
                      {"a.q.weight", "b.scaled_fp8", false},
                      {"a.q.weight", "unscaled_fp8", false},
                      {"a.q.weight", "a.q.bias", false}};
  for (const std::string dtype : {"F8_E4M3", "F8_E5M2", "F16"}) {
    for (const Row& row : rows) {
      CAPTURE(dtype);
      CAPTURE(std::string(row.key));
      const std::size_t size = dtype == "F16" ? 2 : 1;
      const std::string header = "{\"" + std::string(row.tensor) + R"(":{"dtype":")" + dtype +
                                 R"(","shape":[1],"data_offsets":[0,)" + std::to_string(size) + R"(]},")" + row.key +
                                 R"(":{"dtype":"F32","shape":[],"data_offsets":[)" + std::to_string(size) + ',' +
                                 std::to_string(size + 4) + "]}}";
      SafetensorsFile file;
      const std::string bytes = safetensors(header, zeros(size + 4));
      REQUIRE(std::string(parse(bytes, file).message()) == "");
      std::vector<float> values;
      const Status status = file.read(*file.find(row.tensor), values);
      const bool refused = row.scales && size == 1;
      CHECK(status.code() == (refused ? StatusCode::kUnsupported : StatusCode::kOk));
      const std::string expected =
          "f: tensor '" + std::string(row.tensor) + "': is " + dtype + " with the scale '" + row.key + "', which is not applied";
      if (refused) CHECK(std::string(status.message()).starts_with(expected));
      CHECK(file.read(*file.find(row.key), values).ok());
    }
  }
}

TEST_CASE("safetensors: F64 is rounded once, to nearest even, and overflows to infinity") {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kLargest = std::numeric_limits<float>::max();
  struct Row {
    double from;
    float to;
  };
  const Row rows[] = {{0.1, 0.1f},
                      {-1.0 / 3, -1.0f / 3},
                      {1 + 0x1p-24, 1},
                      {1 + 3 * 0x1p-24, 1 + 0x1p-22f},
                      {1 + 0x1p-24 + 0x1p-50, 1 + 0x1p-23f},
                      {0x1p-149, 0x1p-149f},
                      {0x1p-150, 0},
                      {0x1.8p-150, 0x1p-149f},
                      {double{kLargest}, kLargest},
                      {std::nextafter(0x1.ffffffp127, 0), kLargest},
                      {-std::nextafter(0x1.ffffffp127, 0), -kLargest},
                      {0x1.ffffffp127, kInfinity},
                      {-0x1.ffffffp127, -kInfinity},
                      {1e300, kInfinity},
                      {-std::numeric_limits<double>::infinity(), -kInfinity}};
  for (const Row& row : rows) {
    CAPTURE(row.from);
    CHECK(converted<double>("F64", {row.from})[0] == row.to);
  }
  CHECK(std::isnan(converted<double>("F64", {std::nan("")})[0]));
  CHECK(std::signbit(converted<double>("F64", {-0.0})[0]));
}

TEST_CASE("safetensors: data may begin at any address") {
  for (std::size_t padding = 0; padding < 8; ++padding) {
    CHECK(converted<double>("F64", {1, -2, 3.5}, padding) == std::vector<float>{1, -2, 3.5});
    CHECK(converted<float>("F32", {1, -2, 3.5}, padding) == std::vector<float>{1, -2, 3.5});
    CHECK(converted<std::uint16_t>("F16", {0x3C00, 0xC000, 0x4300}, padding) == std::vector<float>{1, -2, 3.5});
    CHECK(converted<std::uint16_t>("BF16", {0x3F80, 0xC000, 0x4060}, padding) == std::vector<float>{1, -2, 3.5});
  }
}

TEST_CASE("safetensors: a tensor of another file is refused") {
  const std::string bytes = safetensors(kGoodHeader, zeros(8));
  SafetensorsFile file;
  REQUIRE(parse(bytes, file).ok());
  std::vector<float> values;
  io::TensorInfo changed = file.tensors()[0];
  changed.bytes += 4;
  CHECK(file.read(changed, values).code() == StatusCode::kInvalidArgument);
  changed = file.tensors()[0];
  changed.name = "y";
  CHECK(file.read(changed, values).code() == StatusCode::kInvalidArgument);
  CHECK(SafetensorsFile().read(file.tensors()[0], values).code() == StatusCode::kInvalidArgument);
  CHECK(SafetensorsFile().path().empty());
}

TEST_CASE("safetensors: open") {
  const TempDirectory folder;
  const std::string good = folder / "good.safetensors";
  write_file(good, safetensors(kGoodHeader, little_endian(1.5f) + little_endian(-2.f)));
  SafetensorsFile file;
  REQUIRE(SafetensorsFile::open(good, file).ok());
  CHECK(file.path() == good);

  const std::string empty = folder / "empty";
  write_file(empty, "");
  struct Row {
    std::string path;
    StatusCode code;
    const char* message;
  };
  const Row rows[] = {{folder / "missing", StatusCode::kNotFound, "No such file"},
                      {good + "/below", StatusCode::kNotFound, "Not a directory"},
                      {"", StatusCode::kNotFound, "No such file"},
                      {good + std::string(1, '\0'), StatusCode::kNotFound, "zero byte"},
                      {folder.path().string(), StatusCode::kIo, "given a directory"},
                      {"/dev/null", StatusCode::kIo, "expected a regular file or a pipe, given a device"},
                      {folder / std::string(300, 'n'), StatusCode::kIo, "File name too long"},
                      {empty, StatusCode::kFormat, "empty"}};
  for (const Row& row : rows) {
    CAPTURE(row.path);
    const Status status = SafetensorsFile::open(row.path, file);
    const std::string message = status.message();
    CAPTURE(message);
    CHECK(status.code() == row.code);
    CHECK(message.find(row.message) != std::string::npos);
  }
  if (::geteuid() != 0) {
    std::filesystem::permissions(good, std::filesystem::perms::none);
    SafetensorsFile unreadable;
    CHECK(SafetensorsFile::open(good, unreadable).code() == StatusCode::kIo);
  }

  SafetensorsFile moved = std::move(file);  // what was open before the failures still is
  std::vector<float> values;
  REQUIRE(moved.read(moved.tensors()[0], values).ok());
  CHECK(values == std::vector<float>{1.5, -2});
}

TEST_CASE("safetensors: a file larger than memory is mapped, not read") {
  const TempDirectory folder;
  const std::string path = folder / "sparse.safetensors";
  constexpr std::uintmax_t kBytes = sizeof(void*) < 8 ? 0x20000000 : 0x4000000000;
  const std::string count = std::to_string(kBytes - 4);
  write_file(path, safetensors(R"({"big":{"dtype":"U8","shape":[)" + count + R"(],"data_offsets":[0,)" + count +
                               R"(]},"x":{"dtype":"F32","shape":[1],"data_offsets":[)" + count + ',' +
                               std::to_string(kBytes) + "]}}"));
  std::error_code error;
  std::filesystem::resize_file(path, std::filesystem::file_size(path) + kBytes, error);
  if (error) {
    MESSAGE("skipped: this file system has no sparse files of that size");
    return;
  }
  SafetensorsFile file;
  REQUIRE(std::string(SafetensorsFile::open(path, file).message()) == "");
  std::vector<float> values;
  REQUIRE(file.read(*file.find("x"), values).ok());
  CHECK(values == std::vector<float>{0});
}
