#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "files.h"

/// safetensors files that every reader should refuse, many of them ones that some reader did not.
namespace edgeattn::test {

inline std::string two_tensors(std::string_view a_offsets, std::string_view b_offsets) {
  return std::string(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)").append(a_offsets) +
         R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + std::string(b_offsets) + "}}";
}

inline std::string repeated(std::string_view text, std::size_t times) {
  std::string all;
  for (; times > 0; --times) all += text;
  return all;
}

/// A file that breaks one rule.
struct HostileFile {
  const char* rule;
  std::string bytes;
  const char* message;  ///< part of what the reader says
};

inline constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();

// Sizes of this machine's address space that wrap.
inline constexpr std::size_t kLast = std::numeric_limits<std::size_t>::max();
inline const std::string kRoot = std::to_string(std::size_t{1} << std::numeric_limits<std::size_t>::digits / 2);
inline const std::string kThird = std::to_string(kLast / 3 + 1);
inline const std::string kEighth = std::to_string(kLast / 8 + 1);
inline const std::string kFourth = std::to_string(kLast / 4 + 1);
inline const std::string kAtEnd = "[" + std::to_string(kLast - 1) + "," + std::to_string(kLast) + "]";

inline const HostileFile kHostileFiles[] = {
    // The length of the header
    {"empty", "", "empty"},
    {"shorter than the length", "\1\0\0\0\0\0", "8 bytes of header length, given 1"},
    {"length past the end", little_endian(std::uint64_t{55}) + kGoodHeader.substr(0, 54), "given a length of 55"},
    {"length without a header", little_endian(std::uint64_t{1}), "given a length of 1"},
    {"length wraps around", little_endian(kHuge) + kGoodHeader, "given a length of 18446744073709551615"},
    {"length wraps around to 0 with its own bytes", little_endian(kHuge - 7) + kGoodHeader, "length of 18446744073709551608"},
    {"length negative", little_endian(std::uint64_t{1} << 63) + kGoodHeader, "at most 100000000"},
    {"length over the limit", little_endian(std::uint64_t{100'000'001}) + kGoodHeader, "at most 100000000"},
    {"length of 0", little_endian(std::uint64_t{0}), "start with '{'"},
    // The text of the header
    {"byte order mark", safetensors("\xEF\xBB\xBF{}"), "start with '{'"},
    {"space in front", safetensors(" {}"), "start with '{'"},
    {"array", safetensors("[]"), "start with '{'"},
    {"string", safetensors("\"x\""), "start with '{'"},
    {"padded with zero bytes", safetensors(std::string("{}\0\0", 4)), "end with '}'"},
    {"padded with a newline", safetensors("{}\n"), "end with '}'"},
    {"padded with a tab", safetensors("{} \t "), "end with '}'"},
    {"text behind a zero byte", safetensors(std::string("{}\0}", 4)), "zero byte at byte 2"},
    {"two objects", safetensors("{}{}"), "header: expected JSON"},
    {"object not closed", safetensors(R"({"__metadata__":{})"), "header: expected JSON"},
    {"closed twice", safetensors("{}}"), "header: expected JSON"},
    {"comma at the end", safetensors(R"({"__metadata__":{},})"), "header: expected JSON"},
    {"comment", safetensors("{/* */}"), "header: expected JSON"},
    {"single quotes", safetensors("{'__metadata__':{}}"), "header: expected JSON"},
    {"key without quotes", safetensors("{x:{}}"), "header: expected JSON"},
    {"not UTF-8", safetensors("{\"\xFF\":{}}"), "header: expected JSON"},
    {"half a surrogate pair", safetensors(R"({"\ud800":{}})"), "header: expected JSON"},
    {"control character in a string", safetensors("{\"a\nb\":{}}"), "header: expected JSON"},
    {"leading zero", safetensors(tensor("\"U8\"", "[08]", "[0,8]"), zeros(8)), "header: expected JSON"},
    {"not a number", safetensors(tensor("\"U8\"", "[NaN]", "[0,8]"), zeros(8)), "header: expected JSON"},
    // Nesting
    {"10000 arrays as a tensor", safetensors("{\"x\":" + repeated("[", 10000) + repeated("]", 10000) + "}"), "tensor 'x'"},
    {"10000 arrays not closed", safetensors("{\"x\":" + repeated("[", 10000) + "}"), "tensor 'x'"},
    {"10000 objects", safetensors(repeated("{\"x\":", 10000) + "1" + repeated("}", 10000)), "tensor 'x'"},
    {"10000 arrays in a shape", safetensors(tensor("\"U8\"", repeated("[", 10000) + repeated("]", 10000), "[0,8]")),
     "tensor 'x': expected as shape numbers"},
    {"10000 objects in the metadata", safetensors("{\"__metadata__\":" + repeated("{\"x\":", 10000) + "1" + repeated("}", 10001)),
     "__metadata__: expected string values"},
    // Keys
    {"tensor twice, equal",
     safetensors(R"({"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)"
                 R"("x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})"),
     "tensor 'x': expected once"},
    {"tensor twice, different",
     safetensors(R"({"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                 R"("\u0078":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
                 zeros(8)),
     "tensor 'x': expected once"},
    {"field twice, equal", safetensors(R"({"x":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}})"),
     "tensor 'x': expected dtype once"},
    {"field twice, different", safetensors(R"({"x":{"dtype":"U8","shape":[0],"shape":[1],"data_offsets":[0,0]}})"),
     "tensor 'x': expected shape once"},
    {"metadata twice", safetensors(R"({"__metadata__":{},"__metadata__":{}})"), "__metadata__: expected once"},
    {"metadata key twice, equal", safetensors(R"({"__metadata__":{"k":"v","k":"v"}})"), "__metadata__: expected key 'k' once"},
    {"metadata key twice, different", safetensors(R"({"__metadata__":{"k":"v","l":"","k":"w"}})"), "expected key 'k' once"},
    {"unknown field", safetensors(R"({"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"strides":[1]}})"), "'strides'"},
    {"no dtype", safetensors(R"({"x":{"shape":[0],"data_offsets":[0,0]}})"), "tensor 'x': expected dtype"},
    {"no shape", safetensors(R"({"x":{"dtype":"U8","data_offsets":[0,0]}})"), "tensor 'x': expected shape"},
    {"no data_offsets", safetensors(R"({"x":{"dtype":"U8","shape":[0]}})"), "tensor 'x': expected data_offsets"},
    {"no fields", safetensors(R"({"x":{}})"), "tensor 'x': expected dtype"},
    {"fields of one tensor do not count for the next",
     safetensors(R"({"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"x":{"shape":[0],"data_offsets":[0,0]}})"),
     "tensor 'x': expected dtype"},
    // Types of values
    {"tensor is null", safetensors(R"({"x":null})"), "tensor 'x': expected an object, given null"},
    {"tensor is a number", safetensors(R"({"x":1})"), "tensor 'x': expected an object, given a number"},
    {"tensor is a string", safetensors(R"({"x":"F32"})"), "tensor 'x': expected an object, given a string"},
    {"metadata is null", safetensors(R"({"__metadata__":null})"), "__metadata__: expected an object, given null"},
    {"metadata is a string", safetensors(R"({"__metadata__":"x"})"), "__metadata__: expected an object, given a string"},
    {"metadata is an array", safetensors(R"({"__metadata__":[]})"), "__metadata__: expected an object, given an array"},
    {"metadata holds a number", safetensors(R"({"__metadata__":{"k":1}})"), "__metadata__: expected string values"},
    {"metadata holds null", safetensors(R"({"__metadata__":{"k":null}})"), "__metadata__: expected string values"},
    {"metadata holds an object", safetensors(R"({"__metadata__":{"k":{}}})"), "__metadata__: expected string values"},
    {"dtype is a number", safetensors(tensor("32", "[0]", "[0,0]")), "expected as dtype a string, given a number"},
    {"dtype is an array", safetensors(tensor("[\"U8\"]", "[0]", "[0,0]")), "expected as dtype a string, given an array"},
    {"shape is a number", safetensors(tensor("\"U8\"", "0", "[0,0]")), "expected as shape an array, given a number"},
    {"shape is a string", safetensors(tensor("\"U8\"", "\"0\"", "[0,0]")), "expected as shape an array, given a string"},
    {"size negative", safetensors(tensor("\"U8\"", "[-1]", "[0,0]")), "given a negative number"},
    {"size a fraction", safetensors(tensor("\"U8\"", "[1.0]", "[0,1]"), "x"), "given a fraction"},
    {"size with an exponent", safetensors(tensor("\"U8\"", "[1e0]", "[0,1]"), "x"), "given a fraction"},
    {"size past 64 bits", safetensors(tensor("\"U8\"", "[18446744073709551616]", "[0,0]")), "too large a number"},
    {"size a boolean", safetensors(tensor("\"U8\"", "[true]", "[0,1]"), "x"), "given a boolean"},
    {"size a string", safetensors(tensor("\"U8\"", "[\"1\"]", "[0,1]"), "x"), "given a string"},
    {"offset negative", safetensors(tensor("\"U8\"", "[1]", "[-1,0]"), "x"), "expected as data_offsets numbers"},
    {"offset past 64 bits", safetensors(tensor("\"U8\"", "[1]", "[0,18446744073709551617]"), "x"), "too large a number"},
    {"one offset", safetensors(tensor("\"U8\"", "[0]", "[0]")), "expected 2 data_offsets, given 1"},
    {"three offsets", safetensors(tensor("\"U8\"", "[0]", "[0,0,0]")), "expected 2 data_offsets, given 3"},
    {"no offsets", safetensors(tensor("\"U8\"", "[0]", "[]")), "expected 2 data_offsets, given 0"},
    {"offsets in an object", safetensors(tensor("\"U8\"", "[0]", "{}")), "expected as data_offsets an array"},
    // Dtypes
    {"unknown dtype", safetensors(tensor("\"F128\"", "[0]", "[0,0]")), "tensor 'x': dtype 'F128' is unknown"},
    {"dtype of a newer version", safetensors(tensor("\"I4\"", "[2]", "[0,1]"), "x"), "dtype 'I4' is unknown"},
    {"dtype by another name", safetensors(tensor("\"F8_E4M3FN\"", "[1]", "[0,1]"), "x"), "dtype 'F8_E4M3FN' is unknown"},
    {"dtype in lower case", safetensors(tensor("\"f32\"", "[0]", "[0,0]")), "dtype 'f32' is unknown"},
    {"empty dtype", safetensors(tensor("\"\"", "[0]", "[0,0]")), "dtype '' is unknown"},
    {"dtype with a line break", safetensors(tensor("\"F\\n32\"", "[0]", "[0,0]")), "dtype 'F?32' is unknown"},
    // Sizes and offsets
    {"bytes do not match the shape", safetensors(tensor("\"F32\"", "[2]", "[0,4]"), zeros(4)), "expected 8 bytes"},
    {"bytes do not match a scalar", safetensors(tensor("\"F32\"", "[]", "[0,8]"), zeros(8)), "expected 4 bytes"},
    {"no bytes for elements", safetensors(tensor("\"I64\"", "[1]", "[0,0]")), "expected 8 bytes"},
    {"bytes for no elements", safetensors(tensor("\"U8\"", "[0]", "[0,1]"), "x"), "expected 0 bytes"},
    {"half a byte", safetensors(tensor("\"F4\"", "[3]", "[0,1]"), "x"), "expected whole bytes, given 3 elements of 4 bits (F4)"},
    {"half a byte, rounded up", safetensors(tensor("\"F4\"", "[5]", "[0,3]"), "xxx"), "expected whole bytes"},
    {"a quarter of a byte", safetensors(tensor("\"F6_E2M3\"", "[3]", "[0,2]"), "xx"), "3 elements of 6 bits"},
    {"a scalar of 6 bits", safetensors(tensor("\"F6_E3M2\"", "[]", "[0,1]"), "x"), "1 elements of 6 bits"},
    {"bytes for elements of 4 bits", safetensors(tensor("\"F4\"", "[4]", "[0,4]"), zeros(4)), "expected 2 bytes"},
    {"bytes for elements of 6 bits", safetensors(tensor("\"F6_E3M2\"", "[4]", "[0,4]"), zeros(4)), "expected 3 bytes"},
    {"bits wrap around to 0", safetensors(tensor("\"C64\"", "[" + kEighth + "]", "[0,0]")), "overflows"},
    {"product wraps around to 0", safetensors(tensor("\"U8\"", "[" + kRoot + "," + kRoot + "]", "[0,0]")), "overflows"},
    {"product wraps around to a match", safetensors(tensor("\"U8\"", "[3," + kThird + "]", "[0,2]"), "xx"), "overflows"},
    {"bytes wrap around to 0", safetensors(tensor("\"F32\"", "[" + kFourth + "]", "[0,0]")), "overflows"},
    {"offsets in the wrong order", safetensors(tensor("\"U8\"", "[4]", "[4,0]"), zeros(4)), "in order, given [4, 0]"},
    {"offsets past the end", safetensors(tensor("\"F32\"", "[2]", "[0,8]"), zeros(7)), "bytes, as its header tells, given "},
    {"offsets begin past the end", safetensors(tensor("\"U8\"", "[0]", "[9,9]"), zeros(4)),
     "begin at 0, where the data before it ends, given 9: a gap"},
    {"offsets at the end of the address space", safetensors(tensor("\"U8\"", "[1]", kAtEnd), zeros(4)), "a gap"},
    {"as many bytes as there are addresses",
     safetensors(tensor("\"U8\"", "[" + std::to_string(kLast) + "]", "[0," + std::to_string(kLast) + "]")), "it is cut short"},
    {"first tensor begins late", safetensors(tensor("\"U8\"", "[4]", "[1,5]"), zeros(5)), "begin at 0"},
    {"gap", safetensors(two_tensors("[0,4]", "[5,9]"), zeros(9)), "tensor 'b': expected data_offsets to begin at 4"},
    {"overlap", safetensors(two_tensors("[0,4]", "[3,7]"), zeros(7)), "given 3: an overlap"},
    {"same bytes twice", safetensors(two_tensors("[0,4]", "[0,4]"), zeros(4)), "an overlap"},
    {"nothing inside another tensor",
     safetensors(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}})",
                 zeros(4)),
     "tensor 'b'"},
    {"bytes behind the last tensor", safetensors(kGoodHeader, zeros(9)), "given 1 more"},
    {"data without tensors", safetensors("{}", "x"), "given 1 more"},
};

}  // namespace edgeattn::test
