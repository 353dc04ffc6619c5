#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# move_bytes.sh <program>...: runs each consumer in the test's folder, and looks at what is left of them.
set -e
exported() { ls /sys/kernel/config/nvmet/subsystems /sys/kernel/config/nvmet/ports; }
before=$(exported)
for program; do "$program" "$NVMEOF_TEST_DIR"; done
[ "$(exported)" = "$before" ] || { echo "FAILED: something is left in nvmet" && exported && exit 1; }
