/* PID 1 of a lab host: runs /etc/lab/rc once, then reaps whatever dies, for ever.
 *
 * Killing it from outside is the host's power cut: the kernel ends everything in its PID namespace.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    sigprocmask(SIG_BLOCK, &all, NULL);

    if (fork() == 0) {
        sigprocmask(SIG_SETMASK, &none, NULL);
        setsid();
        execl("/etc/lab/rc", "rc", (char *)NULL);
        _exit(127);
    }
    for (;;) {
        int signal;
        while (waitpid(-1, NULL, WNOHANG) > 0) {
        }
        sigwait(&all, &signal);
    }
}
