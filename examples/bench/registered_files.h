// SPDX-License-Identifier: Apache-2.0
// The files a target offers, from registration to the end.
#pragma once

#include <string>
#include <vector>

#include "bench/failure.h"
#include "bench/local_files.h"
#include "transfer_engine.h"

namespace mooncake::bench {

/// Unregisters what is left when it is destroyed.
class RegisteredFiles {
 public:
    /// @param engine  must outlive this object
    explicit RegisteredFiles(TransferEngine& engine) : engine_(engine) {}
    ~RegisteredFiles() { (void)unregisterAll(); }
    RegisteredFiles(const RegisteredFiles&) = delete;
    RegisteredFiles& operator=(const RegisteredFiles&) = delete;

    /// Registers each file with its whole size, or none.
    /// @return ExitCode::kIoError with the file
    MaybeFailure registerAll(const std::vector<LocalFile>& files);

    /// @return ExitCode::kIoError with the files that could not be unregistered; the others are
    MaybeFailure unregisterAll();

 private:
    TransferEngine& engine_;
    std::vector<std::string> paths_;
};

}  // namespace mooncake::bench
