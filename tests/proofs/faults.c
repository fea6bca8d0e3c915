/* Preloaded into a service: calls on files whose path contains a text fail or are late, as another process tells.
 *
 * FAULTS_CONTROL names a file of the layout of `struct control`, which is mapped: a change acts at once, in every process.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { WRITES = 1, SYNCS = 2, TRUNCATES = 4, OPENS = 8 };

struct control {
    uint32_t calls;       /* which calls, a sum of the above; 0: none */
    int32_t error;        /* what they set errno to; 0: they are only late */
    uint32_t delay_us;    /* how late they are, in microseconds */
    uint32_t every;       /* of so many calls one is hit */
    uint32_t seen, hits;  /* how many came, and how many were hit */
    char path[104];       /* a part of the path of the file */
};

static struct control *control;

__attribute__((constructor)) static void map_control(void) {
    const char *path = getenv("FAULTS_CONTROL");
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    int fd = path ? real(path, O_RDWR | O_CLOEXEC) : -1;
    void *mapped = fd < 0 ? MAP_FAILED : mmap(0, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0) close(fd);
    if (mapped != MAP_FAILED) control = mapped;
}

/* Whether this call fails; it is late where it should be. */
static int hit(uint32_t call, const char *path) {
    if (!control || !(control->calls & call) || !strstr(path, control->path)) return 0;
    if (__sync_fetch_and_add(&control->seen, 1) % (control->every ? control->every : 1)) return 0;
    __sync_fetch_and_add(&control->hits, 1);
    uint32_t delay = control->delay_us;
    int error = control->error;
    if (delay) {
        struct timespec pause = {delay / 1000000, delay % 1000000 * 1000L};
        nanosleep(&pause, 0);
    }
    if (error) errno = error;
    return error != 0;
}

static int hit_file(uint32_t call, int fd) {
    char link[32], path[4096];
    int kept = errno;
    if (!control || !(control->calls & call)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = kept;
    if (length < 0) return 0;
    path[length] = 0;
    return hit(call, path);
}

#define ON_FILE(type, name, call, parameters, types, arguments) \
    type name parameters { static type (*real) types; if (!real) real = dlsym(RTLD_NEXT, #name); \
        return hit_file(call, fd) ? -1 : real arguments; }

ON_FILE(ssize_t, write, WRITES, (int fd, const void *data, size_t size), (int, const void *, size_t), (fd, data, size))
ON_FILE(ssize_t, pwrite, WRITES, (int fd, const void *data, size_t size, off_t at),
        (int, const void *, size_t, off_t), (fd, data, size, at))
ON_FILE(ssize_t, pwrite64, WRITES, (int fd, const void *data, size_t size, off64_t at),
        (int, const void *, size_t, off64_t), (fd, data, size, at))
ON_FILE(int, fsync, SYNCS, (int fd), (int), (fd))
ON_FILE(int, fdatasync, SYNCS, (int fd), (int), (fd))
ON_FILE(int, ftruncate, TRUNCATES, (int fd, off_t size), (int, off_t), (fd, size))
ON_FILE(int, ftruncate64, TRUNCATES, (int fd, off64_t size), (int, off64_t), (fd, size))

#define OPENING(name) \
    int name(const char *path, int flags, ...) { static int (*real)(const char *, int, ...); \
        if (!real) real = dlsym(RTLD_NEXT, #name); \
        va_list more; va_start(more, flags); int mode = va_arg(more, int); va_end(more); \
        return hit(OPENS, path) ? -1 : real(path, flags, mode); }

OPENING(open)
OPENING(open64)
