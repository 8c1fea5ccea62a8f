// Plugins that hold edgeattn and are closed again, in hosts that go on to use XNNPACK: it keeps the allocator that it was given first.
// Every case has a process of its own.

#define DOCTEST_CONFIG_IMPLEMENT
#include <dlfcn.h>
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xnnpack.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include "edgeattn/edgeattn.h"

namespace {

const char* const* g_plugins;  ///< two with the static library, and one with the shared one

/// A plugin, as long as it is open.
class Plugin {
 public:
  explicit Plugin(const char* path) : library_(dlopen(path, RTLD_NOW | RTLD_LOCAL)) { find(); }
  /// Loaded beside the process's own libraries, with XNNPACK and all.
  static Plugin in_namespace_of_its_own(const char* path) { return Plugin(dlmopen(LM_ID_NEWLM, path, RTLD_NOW | RTLD_LOCAL), 0); }
  ~Plugin() {
    if (library_ != nullptr) dlclose(library_);
  }
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;

  bool loaded() const { return run_ != nullptr; }
  int run(int gemm = EDGEATTN_GEMM_AUTO) const { return run_(gemm); }
  bool says(const char* text) const { return std::strstr(message_(), text) != nullptr; }

 private:
  Plugin(void* library, int) : library_(library) { find(); }
  void find() {
    if (library_ == nullptr) return void(std::fprintf(stderr, "%s\n", dlerror()));
    run_ = reinterpret_cast<int (*)(int)>(dlsym(library_, "plugin_run"));
    message_ = reinterpret_cast<const char* (*)()>(dlsym(library_, "plugin_message"));
  }

  void* library_;
  int (*run_)(int) = nullptr;
  const char* (*message_)() = nullptr;
};

/// The host's own use of XNNPACK.
bool host_multiplies() {
  if (xnn_initialize(nullptr) != xnn_status_success) return false;
  const float kernel[4] = {1, 2, 3, 4};
  xnn_operator_t op = nullptr;
#if EDGEATTN_XNNPACK_2022
  const xnn_status made = xnn_create_fully_connected_nc_f32(2, 2, 2, 2, kernel, nullptr, -1e9f, 1e9f, 0, &op);
#else
  const xnn_status made = xnn_create_fully_connected_nc_f32(2, 2, 2, 2, kernel, nullptr, -1e9f, 1e9f, 0, nullptr, nullptr, &op);
#endif
  return made == xnn_status_success && xnn_delete_operator(op) == xnn_status_success;
}

/// The line at which a process finds something else than expected; 0 for none, negative for the signal that ends it.
template <class Body>
int failing_line(Body body) {
  std::fflush(stdout);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) _exit(body());
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

#define EXPECT(condition) \
  if (!(condition)) return __LINE__

TEST_CASE("a plugin is opened and closed again and again, in a host that uses XNNPACK in between") {
  for (const int which : {0, 2}) {
    CAPTURE(which);
    CHECK(failing_line([&] {
      for (int repeat = 0; repeat < 3; ++repeat) {
        {
          const Plugin plugin(g_plugins[which]);
          EXPECT(plugin.loaded());
          EXPECT(plugin.run(EDGEATTN_GEMM_XNNPACK) == EDGEATTN_GEMM_XNNPACK);
          EXPECT(host_multiplies());
        }
        EXPECT(host_multiplies());
      }
      return 0;
    }) == 0);
  }
}

TEST_CASE("of two plugins, each with a copy of edgeattn, the first has XNNPACK, and is missed by nobody when it is closed") {
  CHECK(failing_line([] {
    const Plugin second(g_plugins[1]);
    EXPECT(second.loaded());
    {
      const Plugin first(g_plugins[0]);
      EXPECT(first.loaded());
      EXPECT(first.run(EDGEATTN_GEMM_XNNPACK) == EDGEATTN_GEMM_XNNPACK);
      EXPECT(second.run() == EDGEATTN_GEMM_BUILTIN);
    }
    EXPECT(second.run() == EDGEATTN_GEMM_BUILTIN);
    EXPECT(second.run(EDGEATTN_GEMM_XNNPACK) == -1);
    EXPECT(second.says("another copy of it"));
    const Plugin again(g_plugins[0]);
    EXPECT(again.run(EDGEATTN_GEMM_XNNPACK) == EDGEATTN_GEMM_XNNPACK);
    EXPECT(second.run() == EDGEATTN_GEMM_BUILTIN);
    EXPECT(host_multiplies());
    return 0;
  }) == 0);
}

TEST_CASE("a host that initialised XNNPACK first keeps its own allocator") {
  CHECK(failing_line([] {
    EXPECT(host_multiplies());
    for (const int which : {0, 1, 2}) {
      const Plugin plugin(g_plugins[which]);
      EXPECT(plugin.loaded());
      EXPECT(plugin.run() == EDGEATTN_GEMM_BUILTIN);
    }
    EXPECT(host_multiplies());
    return 0;
  }) == 0);
}

TEST_CASE("a plugin whose file is gone, loaded by a relative name from a folder that the host has left") {
  std::string folder = (std::filesystem::temp_directory_path() / "edgeattn-plugin-XXXXXX").string();
  REQUIRE(mkdtemp(folder.data()) != nullptr);
  std::filesystem::copy_file(g_plugins[0], folder + "/plugin.so");
  CHECK(failing_line([&] {
    EXPECT(chdir(folder.c_str()) == 0);
    {
      const Plugin plugin("./plugin.so");
      EXPECT(plugin.loaded());
      EXPECT(unlink("plugin.so") == 0 && chdir("/") == 0);
      EXPECT(plugin.run(EDGEATTN_GEMM_XNNPACK) == EDGEATTN_GEMM_XNNPACK);
    }
    EXPECT(host_multiplies());
    return 0;
  }) == 0);
  std::filesystem::remove_all(folder);
}

TEST_CASE("a plugin in a namespace of its own") {
  CHECK(failing_line([] {
    for (int repeat = 0; repeat < 2; ++repeat) {
      const Plugin plugin = Plugin::in_namespace_of_its_own(g_plugins[0]);
      EXPECT(plugin.loaded());
      EXPECT(plugin.run(EDGEATTN_GEMM_XNNPACK) == EDGEATTN_GEMM_XNNPACK);
    }
    EXPECT(host_multiplies());
    return 0;
  }) == 0);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 4) return 2;
  g_plugins = arguments + 1;
  return doctest::Context().run();
}
