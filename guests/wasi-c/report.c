// A WASI command: reports what it was given, and ends as its last argument says.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv) {
    for (int i = 0; i < argc; i++) {
        printf("arg %s\n", argv[i]);
    }
    for (char **variable = environ; *variable; variable++) {
        printf("env %s\n", *variable);
    }
    char bytes[512];
    size_t size;
    while ((size = fread(bytes, 1, sizeof bytes, stdin)) > 0) {
        fwrite(bytes, 1, size, stdout);
    }
    const char *last = argc > 0 ? argv[argc - 1] : "";
    if (!strcmp(last, "random")) {
        unsigned char random[8];
        if (getentropy(random, sizeof random)) {
            perror("random");
            return 1;
        }
        printf("random ");
        for (size_t i = 0; i < sizeof random; i++) {
            printf("%02x", random[i]);
        }
        printf("\n");
    } else if (!strcmp(last, "time")) {
        struct timespec before, after;
        if (clock_gettime(CLOCK_MONOTONIC, &before)) {
            perror("time");
            return 1;
        }
        usleep(2000);
        clock_gettime(CLOCK_MONOTONIC, &after);
        long long ns = (after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec;
        printf("slept %s\n", ns >= 2000000 ? "true" : "false");
        printf("since 1970 %s\n", time(NULL) > 0 ? "true" : "false");
    } else if (!strcmp(last, "file")) {
        if (!fopen("file", "r")) {
            perror("file");
        }
    } else {
        return atoi(last);
    }
    return 0;
}
