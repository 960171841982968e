/* A stand-in for NVIDIA's driver library: what tools load as libnvidia-ml.so.1.
 *
 * It answers the NVML calls that monitoring tools make, from a text file that may change at any time:
 *   $FAKE_NVML_DIR/nvml.conf   (default directory: /run/gpus)
 *     driver VERSION | nvml VERSION | cuda N | state CODE | hang 0|1 | ghosts 0|1
 *     gpu INDEX KEY VALUE        (keys: see set_gpu)
 *     fail INDEX CALL CODE       (this call fails for this GPU)
 *     proc INDEX PID C|G BYTES   (shown while the process lives, or always with `ghosts 1`)
 * and counts every call in $FAKE_NVML_DIR/nvml.calls: fixed records of a name (56 bytes) and a uint64.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    OK = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9,
};
enum { MAX_GPUS = 16, MAX_PROCESSES = 256, MAX_FAILURES = 64 };
typedef unsigned int uint;
typedef unsigned long long ull;

typedef struct {
    char name[96], uuid[96];
    int error, numa;
    uint util, mem_util, temp, power_mw, limit_mw, bus, device_id, major, minor, sm_clock, mem_clock;
    ull mem_total, mem_base;
    long long mem_used; /* -1: base and the processes together */
} Gpu;
typedef struct { uint gpu, pid; char kind; ull bytes; } Process;
typedef struct { uint gpu; char call[56]; int code; } Failure;

static struct {
    char driver[80], nvml[80];
    int cuda, state, hang, ghosts;
    uint gpus, processes, failures;
    Gpu gpu[MAX_GPUS];
    Process process[MAX_PROCESSES];
    Failure failure[MAX_FAILURES];
} conf;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int users; /* nvmlInit minus nvmlShutdown */

/* ------------------------------------------------------------------------------------ counting */

#define CALLS(X) \
    X(nvmlInit) X(nvmlShutdown) X(nvmlSystemGetDriverVersion) X(nvmlSystemGetNVMLVersion) \
    X(nvmlSystemGetCudaDriverVersion) X(nvmlSystemGetProcessName) X(nvmlDeviceGetCount) \
    X(nvmlDeviceGetHandleByIndex) X(nvmlDeviceGetHandleByUUID) X(nvmlDeviceGetHandleByPciBusId) \
    X(nvmlDeviceGetIndex) X(nvmlDeviceGetName) X(nvmlDeviceGetUUID) X(nvmlDeviceGetMinorNumber) \
    X(nvmlDeviceGetPciInfo) X(nvmlDeviceGetMemoryInfo) X(nvmlDeviceGetMemoryInfo_v2) \
    X(nvmlDeviceGetUtilizationRates) X(nvmlDeviceGetTemperature) X(nvmlDeviceGetTemperatureV) \
    X(nvmlDeviceGetTemperatureThreshold) X(nvmlDeviceGetPowerUsage) X(nvmlDeviceGetEnforcedPowerLimit) \
    X(nvmlDeviceGetPowerManagementLimit) X(nvmlDeviceGetPowerManagementDefaultLimit) \
    X(nvmlDeviceGetComputeRunningProcesses) X(nvmlDeviceGetGraphicsRunningProcesses) \
    X(nvmlDeviceGetMPSComputeRunningProcesses) X(nvmlDeviceGetProcessUtilization) \
    X(nvmlDeviceGetCudaComputeCapability) X(nvmlDeviceGetNumaNodeId) X(nvmlDeviceGetMemoryAffinity) \
    X(nvmlDeviceGetCpuAffinity) X(nvmlDeviceGetMigMode) X(nvmlDeviceGetMaxMigDeviceCount) \
    X(nvmlDeviceGetMigDeviceHandleByIndex) X(nvmlDeviceIsMigDeviceHandle) \
    X(nvmlDeviceGetPersistenceMode) X(nvmlDeviceGetComputeMode) X(nvmlDeviceGetPerformanceState) \
    X(nvmlDeviceGetDisplayActive) X(nvmlDeviceGetDisplayMode) X(nvmlDeviceGetClockInfo) \
    X(nvmlDeviceGetMaxClockInfo) X(nvmlDeviceGetFanSpeed) X(nvmlDeviceGetEncoderUtilization) \
    X(nvmlDeviceGetDecoderUtilization) X(nvmlDeviceGetTotalEccErrors) \
    X(nvmlDeviceGetMemoryErrorCounter) X(nvmlDeviceGetBAR1MemoryInfo) X(nvmlDeviceGetPcieThroughput) \
    X(nvmlDeviceGetArchitecture) X(nvmlDeviceGetNumGpuCores) X(nvmlDeviceGetSerial) \
    X(nvmlDeviceGetBrand) X(nvmlDeviceGetTopologyCommonAncestor) X(nvmlDeviceGetNvLinkState) \
    X(nvmlDeviceGetNvLinkRemoteDeviceType) X(nvmlDeviceGetNvLinkRemotePciInfo)

#define AS_ENUM(name) C_##name,
#define AS_TEXT(name) #name,
enum { CALLS(AS_ENUM) CALL_COUNT };
static const char *const call_names[] = {CALLS(AS_TEXT)};
typedef struct { char name[56]; uint64_t calls; } Record;
static Record *records;

static const char *path_of(const char *file) {
    static __thread char path[512];
    const char *dir = getenv("FAKE_NVML_DIR");
    snprintf(path, sizeof path, "%s/%s", dir ? dir : "/run/gpus", file);
    return path;
}

static void open_records(void) {
    static Record private_records[CALL_COUNT];
    int fd = open(path_of("nvml.calls"), O_RDWR | O_CLOEXEC);
    records = private_records;
    if (fd < 0) return;
    if (ftruncate(fd, sizeof private_records) == 0) {
        void *map = mmap(NULL, sizeof private_records, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map != MAP_FAILED) records = map;
    }
    close(fd);
    for (int i = 0; i < CALL_COUNT; i++) strncpy(records[i].name, call_names[i], sizeof records[i].name - 1);
}

/* --------------------------------------------------------------------------------------- config */

static void set_gpu(uint index, const char *key, const char *value) {
    if (index >= MAX_GPUS) return;
    Gpu *gpu = &conf.gpu[index];
    ull number = strtoull(value, NULL, 0);
    if (index >= conf.gpus) conf.gpus = index + 1;
    if (!strcmp(key, "name")) snprintf(gpu->name, sizeof gpu->name, "%s", value);
    else if (!strcmp(key, "uuid")) snprintf(gpu->uuid, sizeof gpu->uuid, "%s", value);
    else if (!strcmp(key, "error")) gpu->error = (int)number;
    else if (!strcmp(key, "util")) gpu->util = number;
    else if (!strcmp(key, "mem_util")) gpu->mem_util = number;
    else if (!strcmp(key, "mem_total")) gpu->mem_total = number;
    else if (!strcmp(key, "mem_base")) gpu->mem_base = number;
    else if (!strcmp(key, "mem_used")) gpu->mem_used = strtoll(value, NULL, 0);
    else if (!strcmp(key, "temp")) gpu->temp = number;
    else if (!strcmp(key, "power_mw")) gpu->power_mw = number;
    else if (!strcmp(key, "limit_mw")) gpu->limit_mw = number;
    else if (!strcmp(key, "bus")) gpu->bus = number;
    else if (!strcmp(key, "device_id")) gpu->device_id = number;
    else if (!strcmp(key, "numa")) gpu->numa = atoi(value);
    else if (!strcmp(key, "major")) gpu->major = number;
    else if (!strcmp(key, "minor")) gpu->minor = number;
    else if (!strcmp(key, "sm_clock")) gpu->sm_clock = number;
    else if (!strcmp(key, "mem_clock")) gpu->mem_clock = number;
}

static void read_line(char *line) {
    uint gpu, pid;
    int used = 0;
    char key[56], kind;
    int code;
    ull bytes;
    line[strcspn(line, "\n")] = 0;
    if (sscanf(line, "gpu %u %55s %n", &gpu, key, &used) == 2 && used) set_gpu(gpu, key, line + used);
    else if (sscanf(line, "proc %u %u %c %llu", &gpu, &pid, &kind, &bytes) == 4) {
        if (conf.processes < MAX_PROCESSES) conf.process[conf.processes++] = (Process){gpu, pid, kind, bytes};
    } else if (sscanf(line, "fail %u %55s %d", &gpu, key, &code) == 3) {
        if (conf.failures >= MAX_FAILURES) return;
        conf.failure[conf.failures].gpu = gpu;
        conf.failure[conf.failures].code = code;
        strcpy(conf.failure[conf.failures++].call, key);
    } else if (sscanf(line, "driver %79s", conf.driver) == 1 || sscanf(line, "nvml %79s", conf.nvml) == 1 ||
               sscanf(line, "cuda %d", &conf.cuda) == 1 || sscanf(line, "state %d", &conf.state) == 1 ||
               sscanf(line, "hang %d", &conf.hang) == 1 || sscanf(line, "ghosts %d", &conf.ghosts) == 1)
        return;
}

static void refresh(void) {
    static struct stat last;
    struct stat now;
    char line[512];
    FILE *file;
    if (stat(path_of("nvml.conf"), &now) != 0) {
        memset(&conf, 0, sizeof conf);
        memset(&last, 0, sizeof last);
        conf.state = DRIVER_NOT_LOADED;
        return;
    }
    if (now.st_ino == last.st_ino && now.st_size == last.st_size &&
        !memcmp(&now.st_mtim, &last.st_mtim, sizeof now.st_mtim))
        return;
    last = now;
    memset(&conf, 0, sizeof conf);
    for (int i = 0; i < MAX_GPUS; i++) conf.gpu[i].mem_used = -1;
    if (!(file = fopen(path_of("nvml.conf"), "re"))) return;
    while (fgets(line, sizeof line, file)) read_line(line);
    fclose(file);
}

/* ------------------------------------------------------------------------- entering every call */

/* Counts a call and takes the lock. Returns NVML's error for the whole driver, or OK. */
static int enter(int call) {
    pthread_mutex_lock(&lock);
    if (!records) open_records();
    __atomic_fetch_add(&records[call].calls, 1, __ATOMIC_RELAXED);
    refresh();
    while (conf.hang) { /* as a driver that deadlocked: nobody gets an answer */
        pthread_mutex_unlock(&lock);
        usleep(20000);
        pthread_mutex_lock(&lock);
        refresh();
    }
    if (call != C_nvmlInit && !users) return UNINITIALIZED;
    return conf.state;
}

static int leave(int result) {
    pthread_mutex_unlock(&lock);
    return result;
}

static int enter_gpu(int call, const Gpu *gpu) {
    int result = enter(call);
    if (result != OK) return result;
    if (gpu < conf.gpu || gpu >= conf.gpu + conf.gpus) return INVALID_ARGUMENT;
    for (uint i = 0; i < conf.failures; i++)
        if (conf.gpu + conf.failure[i].gpu == gpu && !strcmp(conf.failure[i].call, call_names[call]))
            return conf.failure[i].code;
    return gpu->error;
}

#define SYSTEM(name, suffix, parameters, ...)        \
    int name##suffix parameters {                    \
        int result = enter(C_##name);                \
        if (result == OK) __VA_ARGS__                \
        return leave(result);                        \
    }
#define DEVICE(name, suffix, parameters, ...)        \
    int name##suffix parameters {                    \
        int result = enter_gpu(C_##name, gpu);       \
        if (result == OK) __VA_ARGS__                \
        return leave(result);                        \
    }
#define UNSUPPORTED(name, parameters) DEVICE(name, , parameters, { result = NOT_SUPPORTED; })

static int copy(char *target, uint length, const char *text) {
    if (strlen(text) + 1 > length) return INSUFFICIENT_SIZE;
    strcpy(target, text);
    return OK;
}

/* --------------------------------------------------------------------------------------- system */

SYSTEM(nvmlInit, , (void), { users++; })
SYSTEM(nvmlInit, _v2, (void), { users++; })
SYSTEM(nvmlInit, WithFlags, (uint flags), { (void)flags; users++; })

int nvmlShutdown(void) {
    int result = enter(C_nvmlShutdown);
    if (users) users--, result = OK;
    return leave(result);
}

SYSTEM(nvmlSystemGetDriverVersion, , (char *text, uint length), { result = copy(text, length, conf.driver); })
SYSTEM(nvmlSystemGetNVMLVersion, , (char *text, uint length), { result = copy(text, length, conf.nvml); })
SYSTEM(nvmlSystemGetCudaDriverVersion, , (int *version), { *version = conf.cuda; })
SYSTEM(nvmlSystemGetCudaDriverVersion, _v2, (int *version), { *version = conf.cuda; })
SYSTEM(nvmlSystemGetProcessName, , (uint pid, char *name, uint length),
       { (void)pid, (void)name, (void)length; result = NOT_FOUND; })
SYSTEM(nvmlDeviceGetCount, , (uint *count), { *count = conf.gpus; })
SYSTEM(nvmlDeviceGetCount, _v2, (uint *count), { *count = conf.gpus; })

const char *nvmlErrorString(int code) {
    switch (code) {
    case OK: return "Success";
    case UNINITIALIZED: return "Uninitialized";
    case INVALID_ARGUMENT: return "Invalid Argument";
    case NOT_SUPPORTED: return "Not Supported";
    case NOT_FOUND: return "Not Found";
    case INSUFFICIENT_SIZE: return "Insufficient Size";
    case DRIVER_NOT_LOADED: return "Driver Not Loaded";
    case 15: return "GPU is lost";
    case 18: return "Driver/library version mismatch";
    default: return "Unknown Error";
    }
}

/* -------------------------------------------------------------------------------------- handles */

static int hand_out(uint index, Gpu **gpu) {
    if (index >= conf.gpus) return INVALID_ARGUMENT;
    *gpu = &conf.gpu[index];
    return (*gpu)->error;
}

static void bus_id(const Gpu *gpu, char *text, size_t length, const char *format) {
    snprintf(text, length, format, 0, gpu->bus);
}

SYSTEM(nvmlDeviceGetHandleByIndex, , (uint index, Gpu **gpu), { result = hand_out(index, gpu); })
SYSTEM(nvmlDeviceGetHandleByIndex, _v2, (uint index, Gpu **gpu), { result = hand_out(index, gpu); })

SYSTEM(nvmlDeviceGetHandleByUUID, , (const char *uuid, Gpu **gpu), {
    result = NOT_FOUND;
    for (uint i = 0; i < conf.gpus; i++)
        if (!strcmp(conf.gpu[i].uuid, uuid)) result = hand_out(i, gpu);
})

static int by_bus(const char *text, Gpu **gpu) {
    uint domain, bus;
    if (sscanf(text, "%x:%x:", &domain, &bus) != 2) return INVALID_ARGUMENT;
    for (uint i = 0; i < conf.gpus; i++)
        if (conf.gpu[i].bus == bus) return hand_out(i, gpu);
    return NOT_FOUND;
}
SYSTEM(nvmlDeviceGetHandleByPciBusId, , (const char *text, Gpu **gpu), { result = by_bus(text, gpu); })
SYSTEM(nvmlDeviceGetHandleByPciBusId, _v2, (const char *text, Gpu **gpu), { result = by_bus(text, gpu); })

/* -------------------------------------------------------------------------- what a GPU tells */

DEVICE(nvmlDeviceGetIndex, , (Gpu *gpu, uint *index), { *index = gpu - conf.gpu; })
DEVICE(nvmlDeviceGetMinorNumber, , (Gpu *gpu, uint *minor), { *minor = gpu - conf.gpu; })
DEVICE(nvmlDeviceGetName, , (Gpu *gpu, char *text, uint length), { result = copy(text, length, gpu->name); })
DEVICE(nvmlDeviceGetUUID, , (Gpu *gpu, char *text, uint length), { result = copy(text, length, gpu->uuid); })

typedef struct {
    char old_id[16];
    uint domain, bus, device, device_id, subsystem_id;
    char id[32];
} PciInfo;
static void pci_info(const Gpu *gpu, PciInfo *info) {
    memset(info, 0, sizeof *info);
    info->bus = gpu->bus;
    info->device_id = gpu->device_id << 16 | 0x10DE;
    bus_id(gpu, info->old_id, sizeof info->old_id, "%04X:%02X:00.0");
    bus_id(gpu, info->id, sizeof info->id, "%08X:%02X:00.0");
}
DEVICE(nvmlDeviceGetPciInfo, , (Gpu *gpu, PciInfo *info), { pci_info(gpu, info); })
DEVICE(nvmlDeviceGetPciInfo, _v2, (Gpu *gpu, PciInfo *info), { pci_info(gpu, info); })
DEVICE(nvmlDeviceGetPciInfo, _v3, (Gpu *gpu, PciInfo *info), { pci_info(gpu, info); })

static int shown(const Process *process) {
    return conf.ghosts || kill((pid_t)process->pid, 0) == 0 || errno == EPERM;
}

static ull used(const Gpu *gpu) {
    ull bytes = gpu->mem_base;
    if (gpu->mem_used >= 0) return gpu->mem_used;
    for (uint i = 0; i < conf.processes; i++)
        if (conf.gpu + conf.process[i].gpu == gpu && shown(&conf.process[i])) bytes += conf.process[i].bytes;
    return bytes < gpu->mem_total ? bytes : gpu->mem_total;
}

typedef struct { ull total, free, used; } Memory;
typedef struct { uint version; ull total, reserved, free, used; } Memory2;
DEVICE(nvmlDeviceGetMemoryInfo, , (Gpu *gpu, Memory *memory), {
    ull bytes = used(gpu);
    *memory = (Memory){gpu->mem_total, gpu->mem_total - bytes, bytes};
})
DEVICE(nvmlDeviceGetMemoryInfo_v2, , (Gpu *gpu, Memory2 *memory), {
    ull bytes = used(gpu);
    *memory = (Memory2){memory->version, gpu->mem_total, 0, gpu->mem_total - bytes, bytes};
})

typedef struct { uint gpu, memory; } Rates;
DEVICE(nvmlDeviceGetUtilizationRates, , (Gpu *gpu, Rates *rates), { *rates = (Rates){gpu->util, gpu->mem_util}; })
DEVICE(nvmlDeviceGetTemperature, , (Gpu *gpu, int sensor, uint *celsius), { (void)sensor; *celsius = gpu->temp; })
typedef struct { uint version; int sensor, celsius; } Temperature;
DEVICE(nvmlDeviceGetTemperatureV, , (Gpu *gpu, Temperature *reading), { reading->celsius = (int)gpu->temp; })
DEVICE(nvmlDeviceGetTemperatureThreshold, , (Gpu *gpu, int which, uint *celsius), { (void)which; *celsius = 90; })
DEVICE(nvmlDeviceGetPowerUsage, , (Gpu *gpu, uint *milliwatts), { *milliwatts = gpu->power_mw; })
DEVICE(nvmlDeviceGetEnforcedPowerLimit, , (Gpu *gpu, uint *milliwatts), { *milliwatts = gpu->limit_mw; })
DEVICE(nvmlDeviceGetPowerManagementLimit, , (Gpu *gpu, uint *milliwatts), { *milliwatts = gpu->limit_mw; })
DEVICE(nvmlDeviceGetPowerManagementDefaultLimit, , (Gpu *gpu, uint *milliwatts), { *milliwatts = gpu->limit_mw; })
DEVICE(nvmlDeviceGetCudaComputeCapability, , (Gpu *gpu, int *major, int *minor), {
    *major = (int)gpu->major;
    *minor = (int)gpu->minor;
})
DEVICE(nvmlDeviceGetNumaNodeId, , (Gpu *gpu, uint *node), {
    if (gpu->numa < 0) result = NOT_SUPPORTED;
    else *node = (uint)gpu->numa;
})
static void affinity(const Gpu *gpu, uint words, unsigned long *set) {
    memset(set, 0, words * sizeof *set);
    if (words && gpu->numa >= 0) set[0] = 1ul << gpu->numa;
}
DEVICE(nvmlDeviceGetMemoryAffinity, , (Gpu *gpu, uint words, unsigned long *set, uint scope), {
    (void)scope;
    affinity(gpu, words, set);
})
DEVICE(nvmlDeviceGetCpuAffinity, , (Gpu *gpu, uint words, unsigned long *set), { affinity(gpu, words, set); })
DEVICE(nvmlDeviceGetPersistenceMode, , (Gpu *gpu, uint *mode), { *mode = 1; })
DEVICE(nvmlDeviceGetComputeMode, , (Gpu *gpu, uint *mode), { *mode = 0; })
DEVICE(nvmlDeviceGetPerformanceState, , (Gpu *gpu, uint *state), { *state = 0; })
DEVICE(nvmlDeviceGetDisplayActive, , (Gpu *gpu, uint *active), { *active = 0; })
DEVICE(nvmlDeviceGetDisplayMode, , (Gpu *gpu, uint *mode), { *mode = 0; })
DEVICE(nvmlDeviceGetClockInfo, , (Gpu *gpu, int type, uint *mhz), { *mhz = type == 2 ? gpu->mem_clock : gpu->sm_clock; })
DEVICE(nvmlDeviceGetMaxClockInfo, , (Gpu *gpu, int type, uint *mhz), { *mhz = type == 2 ? gpu->mem_clock : gpu->sm_clock; })
DEVICE(nvmlDeviceGetEncoderUtilization, , (Gpu *gpu, uint *percent, uint *period), { *percent = 0; *period = 167000; })
DEVICE(nvmlDeviceGetDecoderUtilization, , (Gpu *gpu, uint *percent, uint *period), { *percent = 0; *period = 167000; })
DEVICE(nvmlDeviceGetTotalEccErrors, , (Gpu *gpu, int type, int counter, ull *count), {
    (void)type, (void)counter;
    *count = 0;
})
DEVICE(nvmlDeviceGetBAR1MemoryInfo, , (Gpu *gpu, Memory *memory), {
    *memory = (Memory){gpu->mem_total, gpu->mem_total, 0};
})
DEVICE(nvmlDeviceGetPcieThroughput, , (Gpu *gpu, int counter, uint *kib), {
    (void)counter;
    usleep(20000); /* as long as the real call takes */
    *kib = 0;
})
DEVICE(nvmlDeviceGetArchitecture, , (Gpu *gpu, uint *architecture), { *architecture = gpu->major == 9 ? 9 : 7; })

/* Hopper hangs on NVSwitches by 18 links, Ampere has 12 that lead to the other GPUs in turn. */
enum { TO_GPU = 0, TO_SWITCH = 2 };
static uint nvlinks(const Gpu *gpu) { return gpu->major == 9 ? 18 : gpu->major == 8 ? 12 : 0; }
static const Gpu *behind(const Gpu *gpu, uint link) {
    uint own = gpu - conf.gpu, other = conf.gpus > 1 ? link % (conf.gpus - 1) : own;
    return &conf.gpu[other + (conf.gpus > 1 && other >= own)];
}
DEVICE(nvmlDeviceGetTopologyCommonAncestor, , (Gpu *gpu, Gpu *other, int *level), {
    *level = gpu->numa == other->numa ? 40 : 50;
})
DEVICE(nvmlDeviceGetNvLinkState, , (Gpu *gpu, uint link, uint *active), {
    if (link < nvlinks(gpu)) *active = 1;
    else result = nvlinks(gpu) ? INVALID_ARGUMENT : NOT_SUPPORTED;
})
DEVICE(nvmlDeviceGetNvLinkRemoteDeviceType, , (Gpu *gpu, uint link, int *type), {
    (void)link;
    *type = gpu->major == 9 ? TO_SWITCH : TO_GPU;
})
DEVICE(nvmlDeviceGetNvLinkRemotePciInfo, _v2, (Gpu *gpu, uint link, PciInfo *info), {
    pci_info(behind(gpu, link), info);
})
DEVICE(nvmlDeviceIsMigDeviceHandle, , (Gpu *gpu, uint *is_mig), { *is_mig = 0; })
DEVICE(nvmlDeviceGetMaxMigDeviceCount, , (Gpu *gpu, uint *count), { *count = 0; })
UNSUPPORTED(nvmlDeviceGetMigMode, (Gpu *gpu, uint *current, uint *pending))
UNSUPPORTED(nvmlDeviceGetMigDeviceHandleByIndex, (Gpu *gpu, uint index, Gpu **mig))
UNSUPPORTED(nvmlDeviceGetFanSpeed, (Gpu *gpu, uint *percent))
UNSUPPORTED(nvmlDeviceGetMemoryErrorCounter, (Gpu *gpu, int type, int counter, int where, ull *count))
UNSUPPORTED(nvmlDeviceGetNumGpuCores, (Gpu *gpu, uint *cores))
UNSUPPORTED(nvmlDeviceGetSerial, (Gpu *gpu, char *text, uint length))
UNSUPPORTED(nvmlDeviceGetBrand, (Gpu *gpu, int *brand))

/* ------------------------------------------------------------------------------------ processes */

typedef struct { uint pid; ull bytes; } OldInfo;
typedef struct { uint pid; ull bytes; uint gpu_instance, compute_instance; } Info;

static int list(const Gpu *gpu, char kind, uint *count, OldInfo *old, Info *infos) {
    uint room = *count, found = 0;
    for (uint i = 0; i < conf.processes; i++) {
        const Process *process = &conf.process[i];
        if (conf.gpu + process->gpu != gpu || process->kind != kind || !shown(process)) continue;
        if (found < room && old) old[found] = (OldInfo){process->pid, process->bytes};
        if (found < room && infos) infos[found] = (Info){process->pid, process->bytes, -1u, -1u};
        found++;
    }
    *count = found;
    return found > room ? INSUFFICIENT_SIZE : OK;
}

#define PROCESSES(name, kind)                                                                          \
    DEVICE(name, , (Gpu *gpu, uint *count, OldInfo *old), { result = list(gpu, kind, count, old, NULL); }) \
    DEVICE(name, _v2, (Gpu *gpu, uint *count, Info *infos), { result = list(gpu, kind, count, NULL, infos); }) \
    DEVICE(name, _v3, (Gpu *gpu, uint *count, Info *infos), { result = list(gpu, kind, count, NULL, infos); })
PROCESSES(nvmlDeviceGetComputeRunningProcesses, 'C')
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses, 'G')
PROCESSES(nvmlDeviceGetMPSComputeRunningProcesses, 'M')

typedef struct { uint pid; ull time; uint sm, memory, encoder, decoder; } Sample;
DEVICE(nvmlDeviceGetProcessUtilization, , (Gpu *gpu, Sample *samples, uint *count, ull since), {
    uint room = *count, found = 0;
    for (uint i = 0; i < conf.processes; i++) {
        const Process *process = &conf.process[i];
        if (conf.gpu + process->gpu != gpu || !shown(process)) continue;
        if (found < room && samples)
            samples[found] = (Sample){process->pid, since + 1, gpu->util, gpu->mem_util, 0, 0};
        found++;
    }
    *count = found;
    result = found > room ? INSUFFICIENT_SIZE : OK;
})
