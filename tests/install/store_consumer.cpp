// SPDX-License-Identifier: Apache-2.0
// What a program of somebody else needs of the store's package: headers and library.
//
//   store_consumer <directory>
#include <iostream>

#include "mooncake_store/client.h"

int main(int count, char** arguments) {
    if (count != 2) {
        std::cerr << "usage: store_consumer <directory>\n";
        return 1;
    }
    mooncake::ClientOptions options;
    options.local_hostname = "127.0.0.1:0";
    options.directory = arguments[1];
    const auto client = mooncake::Client::Create(options);
    if (!client) {
        std::cerr << client.error() << ": " << mooncake::Client::LastError() << '\n';
        return 1;
    }
    std::cout << (*client)->IsExist("key").value() << '\n';
    return 0;
}
