// A WASI command: reports what it was given, and ends as its last argument says.

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* Ends the program where what it tried did not work. */
static void check(const char *tried, bool works) {
    if (!works) {
        perror(tried);
        exit(1);
    }
}

/* Prints a label and the names in a directory, in order, those of directories with a slash. */
static void list(const char *label, const char *folder) {
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);
    check("files", count >= 0);
    printf("%s", label);
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        if (strcmp(name, ".") && strcmp(name, "..")) {
            printf(" %s%s", name, entries[i]->d_type == DT_DIR ? "/" : "");
        }
    }
    printf("\n");
}

/* Writes a file of this text, or adds the text to it. */
static void put(const char *path, const char *mode, const char *text) {
    FILE *file = fopen(path, mode);
    check("files", file && fputs(text, file) >= 0 && !fclose(file));
}

/* Reads what is at a place in a file, as far as there is room for it, and gives the file's size. */
static long long get(const char *path, long at, char *text, size_t room) {
    struct stat stat;
    FILE *file = fopen(path, "r");
    check("files", file && !fseek(file, at, SEEK_SET) && !fstat(fileno(file), &stat));
    text[fread(text, 1, room - 1, file)] = 0;
    fclose(file);
    return stat.st_size;
}

/* Does with files what programs do, and says what came of it. */
static void files(void) {
    char text[512];
    long long size = get("/data/input", 0, text, sizeof text);
    printf("input %lld bytes: %s\n", size, text);
    list("list", "/data");
    printf("outside %s\n", fopen("/data/../outside", "r") ? "open" : "refused");

    put("/data/output", "w", "first\n");
    put("/data/output", "a", "second\n");
    size = get("/data/output", 6, text, sizeof text);
    printf("output %lld bytes, then %s", size, text);

    check("files", !mkdir("/data/made", 0777));
    check("files", !rename("/data/output", "/data/made/moved"));
    list("made", "/data/made");
    get("/data/made/moved", 0, text, sizeof text);
    put("/data/output", "w", text);
    check("files", !unlink("/data/made/moved") && !rmdir("/data/made"));
    list("list", "/data");
}

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
    } else if (!strcmp(last, "files")) {
        files();
    } else if (!strcmp(last, "panic")) {
        fprintf(stderr, "as asked\n");
        abort();
    } else {
        return atoi(last);
    }
    return 0;
}
