/* A program that looks like work: it keeps the command line it was started with and does as told.
 *
 *   WORK_FORK=N   be N processes more (as torchrun with one per GPU)
 *   WORK_MB=N     hold N MiB of memory
 *   WORK_CPU=N    burn N per mille of a CPU
 *   WORK_LOG=N    print a line every N ms
 *   WORK_SECONDS=N  end by itself after N s, with the exit code WORK_EXIT
 * SIGTERM and SIGINT end it at once.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static long setting(const char *name) {
    const char *text = getenv(name);
    return text ? strtol(text, NULL, 10) : 0;
}

static void end(int signal) {
    (void)signal;
    _exit(0);
}

static void over(int signal) {
    (void)signal;
    _exit((int)setting("WORK_EXIT"));
}

static long now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int main(void) {
    long forks = setting("WORK_FORK"), cpu = setting("WORK_CPU"), log = setting("WORK_LOG");
    size_t bytes = (size_t)setting("WORK_MB") << 20;
    char *volatile memory;

    signal(SIGTERM, end);
    signal(SIGINT, end);
    signal(SIGALRM, over);
    alarm((unsigned)setting("WORK_SECONDS"));
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (long i = 0; i < forks; i++)
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            log = cpu = 0;
            break;
        }
    if (bytes && (memory = malloc(bytes))) memset(memory, 1, bytes);
    if (!cpu && !log)
        for (;;) pause();
    for (long step = 0, next = now_us();; step++) {
        long start = now_us();
        while (now_us() - start < cpu * 100) {
        }
        if (log && start >= next) {
            printf("step %5ld  loss %.4f  lr 3.0e-04  tokens/s %ld\n", step, 2.0 + 8.0 / (step + 4), 48211 + step % 97);
            next += log * 1000;
        }
        usleep((unsigned)(100000 - cpu * 100));
    }
}
