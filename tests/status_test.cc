#include "edgeattn/status.h"

#include <doctest/doctest.h>

#include <cstring>
#include <limits>
#include <set>
#include <string>

using namespace edgeattn;

TEST_CASE("status: default is ok and empty") {
  const Status status;
  CHECK(status.ok());
  CHECK(status.code() == StatusCode::kOk);
  CHECK(std::string(status.message()).empty());
}

TEST_CASE("status: message joins strings and numbers") {
  const Status status = Status::error(StatusCode::kTooSmall, "scratch: ", std::size_t{0}, " of ",
                                      std::numeric_limits<std::size_t>::max(), " bytes");
  CHECK_FALSE(status.ok());
  CHECK(status.code() == StatusCode::kTooSmall);
  CHECK(std::string(status.message()) ==
        "scratch: 0 of " + std::to_string(std::numeric_limits<std::size_t>::max()) + " bytes");
}

TEST_CASE("status: long messages are cut, never inside a character") {
  constexpr std::size_t kMost = Status::kMessageBytes - 1;
  for (const std::string character : {"x", "é", "…", "𝄞"}) {
    for (std::size_t lead = 0; lead < character.size(); ++lead) {
      std::string text(lead, '-');
      while (text.size() < kMost + 20) text += character;
      const std::string expected = text.substr(0, kMost - (kMost - lead) % character.size());
      CAPTURE(character);
      CAPTURE(lead);
      CHECK(std::string(Status::error(StatusCode::kIo, text.c_str(), "tail", std::size_t{7}).message()) == expected);
    }
  }
  const std::string exact(kMost, 'x');
  CHECK(Status::error(StatusCode::kIo, exact.c_str()).message() == exact);
  CHECK(Status::error(StatusCode::kIo, exact.c_str(), std::size_t{1}).message() == exact);
}

TEST_CASE("status: every code has a name of its own") {
  std::set<std::string> names;
  for (unsigned code = 0; code <= static_cast<unsigned>(StatusCode::kFormat); ++code) {
    names.insert(to_string(static_cast<StatusCode>(code)));
  }
  CHECK(names.size() == static_cast<std::size_t>(StatusCode::kFormat) + 1);
  CHECK(names.count("unknown") == 0);
  CHECK(std::strcmp(to_string(StatusCode::kInvalidArgument), "invalid argument") == 0);
}
