// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common.h"
#include "topology.h"

namespace mooncake {

class TransferMetadata {
 public:
    struct DeviceDesc {
        std::string name;
        uint16_t lid;
        std::string gid;
    };
    struct BufferDesc {
        std::string name;
        uint64_t addr;
        uint64_t length;
        std::vector<uint32_t> lkey;
        std::vector<uint32_t> rkey;
    };
    using FileBufferID = uint32_t;
    struct FileBufferDesc {
        FileBufferID id;
        std::string path;
        std::size_t size;
        std::size_t align;
    };
#ifdef USE_NVMEOF_GENERIC
    struct NVMeoFGenericTrid {
        std::string trtype;
        std::string adrfam;
        std::string traddr;
        std::string trsvcid;
        std::string subnqn;
    };
#endif
    using SegmentID = uint64_t;
    struct SegmentDesc {
        std::string name;
        std::string protocol;
        std::vector<DeviceDesc> devices;
        Topology topology;
        std::vector<BufferDesc> buffers;
        std::vector<FileBufferDesc> file_buffers;
        uint64_t other_address;
        std::string timestamp;
#ifdef USE_NVMEOF_GENERIC
        NVMeoFGenericTrid nvmeof_generic_trid;
#endif
        int tcp_data_port;
    };
    struct HandShakeDesc {
        std::string local_nic_path;
        std::vector<uint32_t> qp_num;
    };
    struct NotifyDesc {
        std::string name;
        std::string notify_msg;
    };

    TransferMetadata(const std::string& conn_string);
    ~TransferMetadata();

    std::shared_ptr<SegmentDesc> getSegmentDescByID(SegmentID segment_id,
                                                    bool force_update = false);
    int updateLocalSegmentDesc(SegmentID segment_id = LOCAL_SEGMENT_ID);
    int removeSegmentDesc(const std::string& segment_name);
    int addFileBuffer(const FileBufferDesc& buffer_desc, bool update_metadata);
    int removeFileBuffer(FileBufferID id, bool update_metadata);
    int addLocalSegment(SegmentID segment_id, const std::string& segment_name,
                        std::shared_ptr<SegmentDesc>&& desc);
    int removeLocalSegment(const std::string& segment_name);

 private:
    RWSpinlock segment_lock_;
    std::unordered_map<uint64_t, std::shared_ptr<SegmentDesc>> segments_;
};

}  // namespace mooncake
