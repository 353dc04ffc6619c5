// SPDX-License-Identifier: Apache-2.0
// Passwords and tokens that stand in files, where the environment shows them to nobody.
#pragma once

#include <string>

#include "common/base/status.h"
#include "secret_text.h"

namespace mooncake {

// Reads a secret: all of a file but line ends at its end. A path that is not absolute is looked for
// in the folder that systemd gives a service for its credentials (CREDENTIALS_DIRECTORY), where
// there is one. InvalidArgument, with the path, the cause and the remedy, for what is not a regular
// file of root or this process's user, or is open to others (its group may read it where that is
// root's, as systemd has it), or is empty, or larger than 4096 bytes, or holds a zero or a line
// end within. Thread-safe.
Status readSecretFile(const std::string& path, SecretText* secret);

// The same for a file of several lines, up to 65536 bytes.
Status readSecretLines(const std::string& path, SecretText* content);

// The variable `name`, or the content of the file that `name`_FILE names; empty where neither is
// set, or both are empty. InvalidArgument where both are set, and for what readSecretFile refuses.
// Not to be called while another thread changes the environment.
Status secretFromEnvironment(const std::string& name, SecretText* secret);

// The variable, or "" where it is not set.
std::string environmentText(const std::string& name);

}  // namespace mooncake
