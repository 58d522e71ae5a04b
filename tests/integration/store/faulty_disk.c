/* A disk that fails on demand, for test_sqlite_disk.py.
 *
 * Loaded into a process with LD_PRELOAD.  While the file named by FAULT_FILE exists, its text says
 * what fails, for files whose path contains FAULT_PATH:
 *
 *   "fsync"   every fsync and fdatasync fails with EIO
 *   "full"    every write fails with ENOSPC
 *   "eio"     every write fails with EIO
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int fault(int fd, const char *kind) {
    const char *file = getenv("FAULT_FILE"), *part = getenv("FAULT_PATH");
    if (file == NULL || part == NULL) return 0;
    char link[64], path[4096], text[16] = {0};
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (strstr(path, part) == NULL) return 0;
    int saved = errno;
    FILE *order = fopen(file, "r");
    if (order == NULL) {
        errno = saved;
        return 0;
    }
    size_t got = fread(text, 1, sizeof text - 1, order);
    fclose(order);
    errno = saved;
    return got > 0 && strncmp(text, kind, strlen(kind)) == 0;
}

static int write_fault(int fd) {
    if (fault(fd, "full")) { errno = ENOSPC; return 1; }
    if (fault(fd, "eio")) { errno = EIO; return 1; }
    return 0;
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (real == NULL) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

int fsync(int fd) {
    REAL(int, "fsync", int);
    if (fault(fd, "fsync")) { errno = EIO; return -1; }
    return real(fd);
}

int fdatasync(int fd) {
    REAL(int, "fdatasync", int);
    if (fault(fd, "fsync")) { errno = EIO; return -1; }
    return real(fd);
}

ssize_t write(int fd, const void *data, size_t count) {
    REAL(ssize_t, "write", int, const void *, size_t);
    return write_fault(fd) ? -1 : real(fd, data, count);
}

ssize_t pwrite64(int fd, const void *data, size_t count, off64_t at) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    return write_fault(fd) ? -1 : real(fd, data, count, at);
}

ssize_t pwrite(int fd, const void *data, size_t count, off_t at) {
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    return write_fault(fd) ? -1 : real(fd, data, count, at);
}
