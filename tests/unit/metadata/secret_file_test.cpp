// SPDX-License-Identifier: Apache-2.0
#include "secret_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>

#include "certificates.h"
#include "freed_memory.h"
#include "http_client.h"
#include "metadata_storage.h"
#include "scripted_server.h"
#include "variable.h"

namespace mooncake::test {
namespace {

using test_support::FreedMemory;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kSecret[] = "correct horse battery staple, and some more";

std::string complaint(const std::string& path) {
    SecretText secret("before");
    const Status status = readSecretFile(path, &secret);
    EXPECT_TRUE(status.IsInvalidArgument()) << path;
    EXPECT_EQ(secret.view(), "before");
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("horse")));
    return std::string(status.message());
}

TEST(SecretTextTest, IsTheTextThatWasGiven) {
    SecretText text;
    EXPECT_TRUE(text.empty());
    EXPECT_STREQ(text.c_str(), "");
    text.append("");
    EXPECT_TRUE(text.empty());
    std::string expected;
    for (int i = 0; i < 100; ++i) {
        text.append(std::to_string(i));
        expected += std::to_string(i);
        ASSERT_EQ(text.view(), expected);
        ASSERT_EQ(text.c_str(), expected);
    }
    SecretText copy = text;
    const SecretText moved = std::move(text);
    EXPECT_EQ(copy.view(), moved.view());
    copy = SecretText("x");
    EXPECT_EQ(copy.view(), "x");
    EXPECT_EQ(moved.view(), expected);
}

TEST(SecretTextTest, NothingOfItIsLeftInMemory) {
    FreedMemory freed(kSecret);
    { auto text = std::make_unique<std::string>(kSecret); }
    EXPECT_GT(freed.found(), 0) << "the watch sees nothing";
    {
        SecretText text(kSecret), other(kSecret);
        const SecretText copy = text;
        other = text;
        for (int i = 0; i < 10; ++i) text.append("and so on");
        SecretText moved = std::move(text);
        moved = SecretText();
    }
    EXPECT_EQ(freed.found(), 0);
}

TEST(SecretFileTest, ReadsALine) {
    const Folder folder;
    for (const char* end : {"", "\n", "\r\n", "\n\n"}) {
        for (const mode_t mode : {0400, 0600}) {
            folder.write("file", std::string(kSecret) + end, 0600);
            ASSERT_EQ(chmod(folder.at("file").c_str(), mode), 0);
            FreedMemory freed(kSecret);
            {
                SecretText secret;
                const Status status = readSecretFile(folder.at("file"), &secret);
                EXPECT_TRUE(status.ok()) << status;
                EXPECT_EQ(secret.view(), kSecret);
            }
            EXPECT_EQ(freed.found(), 0);
        }
    }
}

TEST(SecretFileTest, RefusesWhatOthersCouldReadOrChange) {
    const Folder folder;
    const std::string path = folder.write("file", kSecret);
    for (const mode_t mode : {0604, 0602, 0601, 0620, 0610, 0644, 0666}) {
        ASSERT_EQ(chmod(path.c_str(), mode), 0);
        EXPECT_THAT(complaint(path), AllOf(HasSubstr(path), HasSubstr("chmod 600"))) << mode;
    }
    ASSERT_EQ(chmod(path.c_str(), 0640), 0);
    SecretText secret;
    if (getgid() == 0) {
        EXPECT_TRUE(readSecretFile(path, &secret).ok()) << "as systemd has its credentials";
    }
    if (geteuid() == 0) {
        ASSERT_EQ(chown(path.c_str(), 0, 12345), 0);
        EXPECT_THAT(complaint(path), HasSubstr("its group"));
        ASSERT_EQ(chown(path.c_str(), 12345, 0), 0);
        ASSERT_EQ(chmod(path.c_str(), 0600), 0);
        EXPECT_THAT(complaint(path), HasSubstr("belongs to user 12345"));
    }
}

TEST(SecretFileTest, RefusesWhatIsNoSecret) {
    const Folder folder;
    EXPECT_THAT(complaint(folder.at("absent")), HasSubstr("No such file"));
    EXPECT_THAT(complaint(folder.at("")), HasSubstr("no regular file"));
    EXPECT_THAT(complaint("/dev/zero"), HasSubstr("no regular file"));
    ASSERT_EQ(mkfifo(folder.at("fifo").c_str(), 0600), 0);
    EXPECT_THAT(complaint(folder.at("fifo")), HasSubstr("no regular file"));
    EXPECT_THAT(complaint(folder.write("empty", "")), HasSubstr("empty"));
    EXPECT_THAT(complaint(folder.write("end", "\n\n")), HasSubstr("empty"));
    EXPECT_THAT(complaint(folder.write("two", "a\nb")), HasSubstr("more than one line"));
    EXPECT_THAT(complaint(folder.write("zero", std::string("a\0b", 3))), HasSubstr("zero"));
    SecretText secret;
    EXPECT_TRUE(readSecretFile(folder.write("large", std::string(4096, 'x')), &secret).ok());
    EXPECT_THAT(complaint(folder.write("larger", std::string(4097, 'x'))), HasSubstr("4096"));
}

TEST(SecretFileTest, FindsACredentialByItsName) {
    const Folder folder;
    folder.write("token", kSecret);
    SecretText secret;
    const Variable credentials("CREDENTIALS_DIRECTORY", folder.at("."));
    EXPECT_TRUE(readSecretFile("token", &secret).ok());
    EXPECT_EQ(secret.view(), kSecret);
}

TEST(SecretFileTest, TheEnvironmentNamesOneOrTheOther) {
    const Folder folder;
    SecretText secret("before");
    EXPECT_TRUE(secretFromEnvironment("SECRET_FILE_TEST", &secret).ok());
    EXPECT_TRUE(secret.empty());
    const Variable path("SECRET_FILE_TEST_FILE", folder.write("file", "from the file\n"));
    EXPECT_TRUE(secretFromEnvironment("SECRET_FILE_TEST", &secret).ok());
    EXPECT_EQ(secret.view(), "from the file");
    const Variable value("SECRET_FILE_TEST", "from the variable");
    const Status both = secretFromEnvironment("SECRET_FILE_TEST", &secret);
    EXPECT_TRUE(both.IsInvalidArgument());
    EXPECT_THAT(std::string(both.message()),
                AllOf(HasSubstr("SECRET_FILE_TEST_FILE"), Not(HasSubstr("from the"))));
    const Variable none("SECRET_FILE_TEST_FILE", "");
    EXPECT_TRUE(secretFromEnvironment("SECRET_FILE_TEST", &secret).ok());
    EXPECT_EQ(secret.view(), "from the variable");
    const Variable absent("SECRET_FILE_TEST", "");
    const Variable wrong("SECRET_FILE_TEST_FILE", "/no/such/file");
    EXPECT_THAT(std::string(secretFromEnvironment("SECRET_FILE_TEST", &secret).message()),
                HasSubstr("SECRET_FILE_TEST_FILE: "));
}

// What is sent with a request, and the request itself.
TEST(SecretFileTest, NothingOfALoginIsLeftInMemory) {
    const Folder folder;
    folder.write("file", kSecret);
    // It must not keep it either.
    ScriptedServer server([](int fd) {
        static char buffer[65536];
        if (recv(fd, buffer, sizeof(buffer), 0) <= 0) return;
        ScriptedServer::sendText(fd, "HTTP/1.1 403 no\r\nContent-Length: 0\r\n\r\n");
    });
    const std::string host = "127.0.0.1:" + std::to_string(server.port());
    StoreLimits limits;
    limits.attempts = 1;
    FreedMemory freed(kSecret);
    {
        const Variable user("MC_ETCD_USERNAME", "node");
        const Variable etcd("MC_ETCD_PASSWORD_FILE", folder.at("file"));
        const Variable redis("MC_REDIS_PASSWORD_FILE", folder.at("file"));
        for (const std::string& store :
             {"etcd://" + host, "redis://" + host, "http://" + host + "/m"}) {
            std::shared_ptr<MetadataStorage> storage;
            // A build need not have each of them.
            if (!createMetadataStorage(store, limits, &storage).ok()) continue;
            std::string value;
            EXPECT_FALSE(storage->get("key", &value).ok());
        }
    }
    EXPECT_EQ(freed.found(), 0);
    SecretText token(kSecret);
    const auto bearer = std::make_shared<BearerToken>(token, folder.at("file"));
    HttpResponse response;
    HttpClient client(limits, {}, bearer);
    EXPECT_TRUE(client
                    .request(HttpMethod::kGet, "http://" + host + "/m", "",
                             std::chrono::seconds(20), &response)
                    .ok());
    EXPECT_EQ(freed.found(), 0);
}

}  // namespace
}  // namespace mooncake::test
