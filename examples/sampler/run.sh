#!/usr/bin/env bash
# Builds build/sampler, with edgeattn as a subproject, and draws ten digits: examples/sampler/run.sh [OPTION…]; --help lists the
# options. Fails where the digits are not those that PyTorch drew.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

tools/setup.sh
ln -sfn ../../.. examples/sampler/subprojects/edgeattn
if [[ ! -f build/sampler/build.ninja ]]; then meson setup build/sampler examples/sampler --buildtype=release; fi
meson compile -C build/sampler sampler
data=examples/digits/data
exec build/sampler/src/sampler --weights "$data/unet.safetensors" --noise "$data/noise.safetensors" \
  --reference "$data/images.safetensors" --output build/sampler/digits.png "$@"
