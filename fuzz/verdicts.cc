#include <cstdio>
#include <iostream>
#include <string>

#include "edgeattn/io.h"

/// Reads paths of weights files, one a line, and says of each `accepted`, or why it is refused: for fuzz/differential.py.
int main() {
  for (std::string path; std::getline(std::cin, path);) {
    edgeattn::io::SafetensorsFile file;
    const edgeattn::Status status = edgeattn::io::SafetensorsFile::open(path, file);
    std::puts(status.ok() ? "accepted" : status.message());
  }
}
