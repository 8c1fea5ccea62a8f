#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "edgeattn/io.h"
#include "hostile_files.h"
#include "io/foreign_file.h"

using namespace edgeattn;
using namespace edgeattn::test;
using io::SafetensorsFile;

namespace {

/// A zip archive that begins with a member of that name.
std::string zip(const std::string& name) {
  return std::string("PK\3\4", 4) + zeros(22) + static_cast<char>(name.size()) + zeros(3) + name + "content";
}

/// The first bytes of files that are no safetensors files, and what the error must say of them.
struct Foreign {
  std::string bytes;
  const char* said;
};

using namespace std::string_literals;
const Foreign kForeign[] = {
    {"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
     "Git LFS pointer, not the file itself: run `git lfs pull`"},
    {"version https://git-lfs.github.com/spec/v1\next-0-foo sha256:00\noid sha256:00\nsize 12\n", "Git LFS pointer"},
    {"version https://hawser.github.com/spec/v1\noid sha256:00\n", "Git LFS pointer"},
    {"<html><body>403</body></html>", "HTML page"},
    {"\n\n  <!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01//EN\">", "HTML page"},
    {"\xEF\xBB\xBF<HEAD>\r\n", "HTML page"},
    {"<html>", "HTML page"},
    {"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "XML document"},
    {zip("archive/data.pkl"), "PyTorch checkpoint (zip of a pickle): convert it to safetensors"},
    {zip("model_v1/data.pkl"), "PyTorch checkpoint"},
    {zip("epoch3/byteorder"), "PyTorch checkpoint"},
    {zip("arr_0.npy"), "NumPy .npz"},
    {zip("weights/w.npy"), "NumPy .npz"},
    {zip("config.json"), "zip archive"},
    {"PK\5\6" + zeros(18), "zip archive"},
    {"\x80\2\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19."s, "Python pickle"},
    {"\x80\4\x95\x10\0\0\0\0\0\0\0}\x94."s, "Python pickle"},
    {"\x80\3}q\0X\1\0\0\0aq\1K\1s."s, "Python pickle"},
    {"\x80\5\x95\xff\xff\0\0\0\0\0\0"s, "Python pickle"},
    {"GGUF\2\0\0\0\5\0\0\0"s, "GGUF"},
    {"GGUF\3\0\0\0\0\0\0\0\0\0\0\0"s, "GGUF"},
    {"GGUF\1\0\0\0"s, "GGUF"},
    {"\x93NUMPY\1\0v\0{'descr': '<f4'"s, "NumPy .npy"},
    {"\x93NUMPY\2\0"s, "NumPy .npy"},
    {"\x93NUMPY\3\0v\0\0\0"s, "NumPy .npy"},
    {"\x1f\x8b\x08\0\0\0\0\0\2\xff"s + zeros(600000), "gzip"},  // as a header's length it fits the file
    {"\x1f\x8b\x08\x08\x12\x34\x56\x78\0\3model.safetensors"s, "gzip"},
    {"\x1f\x8b\x08\0\xff\xff\xff\xff\4\3"s, "gzip"},
    {"\x28\xb5\x2f\xfd\4\x58\1\0\0"s, "zstd"},
    {"\xfd\x37zXZ\0\0\4\xe6"s, "xz"},
    {"BZh91AY&SY", "bzip2"},
    {"7z\xbc\xaf\x27\x1c\0\4"s, "7z"},
    {"weights/" + zeros(249) + "ustar  ", "tar archive"},
    {"\x08\7\x12\7pytorch\x1a\0032.1"s, "ONNX"},
    {"\x08\x09\x3a\xff\1\n"s, "ONNX"},
    {"\x08\6\x42\2\x10\x0d\x3a\5"s, "ONNX"},
    {"\x89HDF\r\n\x1a\n\0\0\0\0"s, "HDF5"},
    {"\x89HDF\r\n\x1a\n\2\x08\x08\0"s, "HDF5"},
    {"\x89HDF\r\n\x1a\n\3\x08\x08\0"s, "HDF5"},
    {"\x1c\0\0\0TFL3\x14\0\x20\0"s, "TensorFlow Lite"},
    {"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"s, "PNG"},
    {"\xff\xd8\xff\xe0\0\x10JFIF"s, "JPEG"},
    {"\xff\xd8\xff\xe1\0\x10"
     "Exif"s,
     "JPEG"},
    {"GIF89a\1\0", "GIF"},
    {"RIFF\x10\0\0\0WEBPVP8 "s, "WebP"},
    {"\x7f"
     "ELF\2\1\1\0"s,
     "ELF"},
    {R"({"weight_map": {"x": "a.safetensors"}})", "the index of a sharded model"},
    {"{\"_class_name\": \"AutoencoderKL\"}", "a JSON file"},
    {"\n { \"x\" : 1 }", "a JSON file"},
    {"Not Found", "text, which begins with 'Not Found'"},
    {"Entry not found: größe.safetensors of somebody's model on a server",
     "text, which begins with 'Entry not found: größe.safetensors of '"},
    {"404: a\tb\r\n", "text, which begins with '404: a?b"},
    {"a:{,\xdb", "text, which begins with 'a:{,'"},
    {"a file of half a \xf0\x9f\x98", "text, which begins with 'a file of half a '"},
    {"surrogates \xed\xa0\x80 are none", "the file begins with 73 75 72 72 6f 67"},
    {"two bytes \xe0\x80\x80 for zero", "the file begins with 74 77 6f 20 62 79"},
    {"beyond the last \xf4\x90\x80\x80", "the file begins with 62 65 79 6f 6e 64"},
    {zeros(16), "its first 16 bytes are zeros"},
    {zeros(1000), "its first 1000 bytes are zeros"},
    {zeros(10000), "its first 4096 bytes are zeros"},
    {"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7\xf6\xf5\xf4\xf3", "the file begins with ff fe fd fc fb fa f9 f8 f7 f6 f5 f4 …"},
    {"\xca\xfe\xba\xbe\0\0\0\x34"s, "the file begins with ca fe ba be 00 00 00 34"},
    {"\4\0\0\0\0\0\0\0\x01\x02\x03\x04"s, "begins with 04 00 00 00 00 00 00 00 01 02 03 04"},
};

}  // namespace

TEST_CASE("safetensors: what is another kind of file is named, in memory and on disk") {
  const TempDirectory folder;
  for (const Foreign& foreign : kForeign) {
    CAPTURE(std::string(foreign.said));
    write_file(folder / "w", foreign.bytes);
    SafetensorsFile file;
    const Status in_memory = SafetensorsFile::parse(bytes_of(foreign.bytes), "w", file);
    const Status on_disk = SafetensorsFile::open(folder / "w", file);
    for (const Status& status : {in_memory, on_disk}) {
      const std::string message = status.message();
      CAPTURE(message);
      CHECK((status.code() == StatusCode::kFormat || status.code() == StatusCode::kNotFound));  // an index misses its shard
      const bool index_on_disk = &status != &in_memory && foreign.bytes.find('{') < 3;
      if (!index_on_disk) CHECK(message.find(foreign.said) != std::string::npos);
      CHECK(message.find("w: ") != std::string::npos);
      CHECK(message.find('\n') == std::string::npos);
      CHECK_NOTHROW((void)nlohmann::json(message).dump());  // which takes UTF-8 alone
    }
    CHECK(file.tensors().empty());
  }
}

TEST_CASE("safetensors: what is cut short says so with both numbers") {
  const std::string good = safetensors(kGoodHeader, zeros(8));
  for (const std::size_t size : {good.size() - 1, good.size() - 5, good.size() - 8}) {
    SafetensorsFile file;
    const std::string message = SafetensorsFile::parse(bytes_of(good.substr(0, size)), "w", file).message();
    CHECK(message == "w: expected " + std::to_string(good.size()) + " bytes, as its header tells, given " + std::to_string(size) +
                         ": it is cut short, as by a download that broke off");
  }
  SafetensorsFile file;
  const std::string message = SafetensorsFile::parse(bytes_of(good.substr(0, 30)), "w", file).message();
  CHECK(message == "w: header: expected within the file, which has 22 bytes for it, given a length of " +
                       std::to_string(kGoodHeader.size()) + ": it is cut short, as by a download that broke off");
}
