#include "foreign_file.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <string_view>

#include "errors.h"

namespace edgeattn::io {
namespace {

using std::string_view_literals::operator""sv;

#define EDGEATTN_CONVERT "convert it to safetensors"

/// What files of a format have at one place.
struct Magic {
  std::size_t offset;
  std::string_view bytes;
  const char* format;
};
constexpr Magic kMagics[] = {
    {0, "version https://git-lfs.github.com/"sv, "a Git LFS pointer, not the file itself: run `git lfs pull`"},
    {0, "version https://hawser.github.com/"sv, "a Git LFS pointer, not the file itself: run `git lfs pull`"},
    {0, "GGUF"sv, "a GGUF file: " EDGEATTN_CONVERT},
    {0, "\x93NUMPY"sv, "a NumPy .npy file: " EDGEATTN_CONVERT},
    {0, "\x89HDF\r\n\x1a\n"sv, "an HDF5 file (Keras, MATLAB): " EDGEATTN_CONVERT},
    {4, "TFL3"sv, "a TensorFlow Lite model: " EDGEATTN_CONVERT},
    {0, "\x1f\x8b"sv, "compressed with gzip: unpack it first"},
    {0, "\x28\xb5\x2f\xfd"sv, "compressed with zstd: unpack it first"},
    {0, "\xfd\x37zXZ\0"sv, "compressed with xz: unpack it first"},
    {0, "BZh"sv, "compressed with bzip2: unpack it first"},
    {0, "7z\xbc\xaf\x27\x1c"sv, "a 7z archive: unpack it first"},
    {257, "ustar"sv, "a tar archive: unpack it first"},
    {0, "\x89PNG\r\n\x1a\n"sv, "a PNG picture"},
    {0, "\xff\xd8\xff"sv, "a JPEG picture"},
    {0, "GIF8"sv, "a GIF picture"},
    {8, "WEBP"sv, "a WebP picture"},
    {0, "%PDF-"sv, "a PDF document"},
    {0, "\x7f" "ELF"sv, "a program or library (ELF)"},
};

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

std::string_view without_space(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  return first == std::string_view::npos ? std::string_view() : text.substr(first);
}

bool starts_with_tag(std::string_view text, std::string_view tag) {
  return text.size() >= tag.size() && std::ranges::equal(text.substr(0, tag.size()), tag, [](char a, char b) {
           return std::tolower(static_cast<unsigned char>(a)) == b;
         });
}

/// By the name of the archive's first member.
const char* zip_format(std::string_view text) {
  constexpr std::size_t kNameLength = 26, kName = 30;
  if (text.size() < kName) return "a zip archive";
  const std::size_t length =
      static_cast<unsigned char>(text[kNameLength]) + 256u * static_cast<unsigned char>(text[kNameLength + 1]);
  const std::string_view name = text.substr(kName, length);
  if (name.ends_with(".npy")) return "a NumPy .npz file: " EDGEATTN_CONVERT;
  if (name.ends_with(".pkl") || name.starts_with("archive/") || name.ends_with("/byteorder") || name.ends_with("/version"))
    return "a PyTorch checkpoint (zip of a pickle): " EDGEATTN_CONVERT;
  return "a zip archive, as PyTorch checkpoints (.ckpt, .pt, .bin) are: " EDGEATTN_CONVERT;
}

/// Protocols 2 to 5, each with what may follow: a frame, or an opcode that makes a container, a number or a global.
bool is_pickle(std::string_view text) {
  if (text.size() < 3 || text[0] != '\x80' || text[1] < 2 || text[1] > 5) return false;
  return contains("\x95}](cX\x8a\x8cKJGN)", text.substr(2, 1));
}

/// A protobuf whose first field is a small version number, followed by a field that an ONNX model has.
bool is_onnx(std::string_view text) {
  if (text.size() < 4 || text[0] != '\x08' || text[1] < 1 || text[1] > 32) return false;
  return contains("\x12\x1a\x22\x28\x32\x3a\x42"sv, text.substr(2, 1));
}

/// Bytes of the UTF-8 character that `text` begins with; 0 if it begins with none, or with a control character but those of
/// lines.
std::size_t character_bytes(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return (first >= 0x20 && first != 0x7F) || contains("\n\r\t", text.substr(0, 1)) ? 1 : 0;
  const std::size_t bytes = first < 0xC2 || first > 0xF4 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  const std::string_view rest = text.substr(1, bytes - std::min<std::size_t>(bytes, 1));
  // What fewer bytes could say, surrogates, and what is beyond the last code point (RFC 3629).
  const unsigned least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80, most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  const unsigned second = rest.empty() ? least : static_cast<unsigned char>(rest[0]);
  if (second < least || second > most) return 0;
  return std::ranges::all_of(rest, [](char c) { return (static_cast<unsigned char>(c) & 0xC0u) == 0x80u; }) ? bytes : 0;
}

/// Whether it is UTF-8 without control characters; the last character may be cut.
bool is_text(std::string_view text) {
  const bool empty = text.empty();
  while (!text.empty()) {
    const std::size_t bytes = character_bytes(text);
    if (bytes == 0) return false;
    text.remove_prefix(std::min(bytes, text.size()));
  }
  return !empty;
}

std::string text_format(std::string_view text) {
  const std::string_view words = without_space(text);
  for (const std::string_view tag : {"<!doctype html"sv, "<html"sv, "<head"sv, "<body"sv})
    if (starts_with_tag(words, tag)) return "an HTML page, as a server sends for an error or a login: download the file itself";
  if (words.starts_with("<?xml")) return "an XML document, as a server sends for an error: download the file itself";
  if (words.starts_with("{")) {
    const bool index = contains(words, "\"weight_map\"");
    return index ? "the index of a sharded model: give its path, beside its shards" : "a JSON file";
  }
  constexpr std::size_t kMostShown = 40;
  // Whole characters: the last one of a file may be cut.
  std::size_t end = 0;
  while (end < words.size()) {
    const std::size_t next = end + character_bytes(words.substr(end));
    if (next > std::min(words.size(), kMostShown)) break;
    end = next;
  }
  return std::string("text, which begins with '") + Shown(words.substr(0, end)).c_str() + "'";
}

}  // namespace

std::string foreign_file(std::span<const std::byte> bytes) {
  bytes = bytes.first(std::min(bytes.size(), kForeignBytes));
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (const Magic& magic : kMagics)
    if (text.size() > magic.offset && text.substr(magic.offset).starts_with(magic.bytes)) return magic.format;
  if (text.starts_with("PK\3\4") || text.starts_with("PK\5\6")) return zip_format(text);
  if (is_pickle(text)) return "a Python pickle, as old PyTorch checkpoints (.pt, .bin) are: " EDGEATTN_CONVERT;
  if (is_onnx(text)) return "a protobuf, as ONNX models are: " EDGEATTN_CONVERT;
  if (is_text(text)) return text_format(text);
  const bool zeros = text.size() >= 16 && std::ranges::all_of(text, [](char c) { return c == '\0'; });
  if (zeros) return "empty space: its first " + std::to_string(text.size()) + " bytes are zeros, as of a download that broke off";
  return {};
}

#undef EDGEATTN_CONVERT

bool is_json_object(std::span<const std::byte> bytes) {
  bytes = bytes.first(std::min(bytes.size(), kForeignBytes));
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return is_text(text.substr(0, 8)) && without_space(text).starts_with("{");
}

std::string first_bytes(std::span<const std::byte> bytes) {
  constexpr std::size_t kMost = 12;
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : bytes.first(std::min(bytes.size(), kMost))) {
    if (!text.empty()) text += ' ';
    text += kDigits[std::to_integer<unsigned>(byte) >> 4];
    text += kDigits[std::to_integer<unsigned>(byte) & 15u];
  }
  return bytes.size() > kMost ? text + " …" : text;
}

}  // namespace edgeattn::io
