/* Starts a Cortex-M4F and newlib, whose files and exit code go to the debugger. */
#include <stdint.h>
#include <stdlib.h>

extern uint32_t data_load, data_start, data_end, bss_start, bss_end, stack_top;
extern int main(int argc, char **argv);
extern void initialise_monitor_handles(void);

void reset(void) {
    for (uint32_t *from = &data_load, *to = &data_start; to < &data_end;) {
        *to++ = *from++;
    }
    for (uint32_t *to = &bss_start; to < &bss_end;) {
        *to++ = 0;
    }
    *(volatile uint32_t *)0xe000ed88 |= 0xf << 20; /* The floating-point unit is on. */
    __asm volatile("dsb\nisb");
    initialise_monitor_handles();
    char *arguments[] = {"all", PLUGINS, NULL};
    exit(main(2, arguments));
}

static void fault(void) {
    abort();
}

__attribute__((section(".vectors"), used)) static void (*const vectors[])(void) = {
    (void (*)(void))&stack_top, reset, fault, fault, fault, fault, fault,
};
