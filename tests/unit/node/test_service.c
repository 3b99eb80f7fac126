/* What a service manager hears: the datagrams of node/service.h on a socket of its own, and silence
 * where nobody asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "node/service.h"

static char directory[] = "/tmp/flex-test-service-XXXXXX";
static char path[sizeof directory + 16];
static int manager = -1;

static int set_up(void **state)
{
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/notify", directory);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(manager >= 0);
    assert_int_equal(bind(manager, (struct sockaddr *)&address, sizeof address), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(manager);
    unlink(path);
    return rmdir(directory);
}

/* The next datagram; "" if there is none. */
static const char *heard(void)
{
    static char text[256];
    ssize_t size = recv(manager, text, sizeof text - 1, 0);
    if (size < 0)
        assert_int_equal(errno, EAGAIN);
    text[size > 0 ? size : 0] = '\0';
    return text;
}

static void environment(const char *socket, const char *watchdog, const char *pid)
{
    assert_int_equal(
        socket != NULL ? setenv("NOTIFY_SOCKET", socket, 1) : unsetenv("NOTIFY_SOCKET"), 0);
    assert_int_equal(
        watchdog != NULL ? setenv("WATCHDOG_USEC", watchdog, 1) : unsetenv("WATCHDOG_USEC"), 0);
    assert_int_equal(pid != NULL ? setenv("WATCHDOG_PID", pid, 1) : unsetenv("WATCHDOG_PID"), 0);
}

static void start_and_stop_are_told(void **state)
{
    (void)state;
    struct service service;
    environment(path, NULL, NULL);
    service_open(&service, 7);
    service_ready(&service, 1200);
    assert_string_equal(heard(), "READY=1\nSTATUS=block 1200");
    service_alive(&service, 1000000, true, 1200); /* no watchdog was asked for */
    assert_string_equal(heard(), "");
    service_stopping(&service);
    assert_string_equal(heard(), "STOPPING=1");
}

static void signs_of_life_come_twice_in_a_watchdog_time(void **state)
{
    (void)state;
    struct service service;
    environment(path, "10000000", "7");
    service_open(&service, 7);
    service_alive(&service, 100, true, 5);
    assert_string_equal(heard(), "WATCHDOG=1\nSTATUS=block 5");
    service_alive(&service, 5099, true, 6);
    assert_string_equal(heard(), "");
    service_alive(&service, 5100, true, 6);
    assert_string_equal(heard(), "WATCHDOG=1\nSTATUS=block 6");
    service_alive(&service, 60000, false, 6); /* stuck: the manager shall see it */
    assert_string_equal(heard(), "");
}

static void silence_where_nobody_asked(void **state)
{
    (void)state;
    static char long_path[200];
    memset(long_path, 'a', sizeof long_path - 1);
    long_path[0] = '/';
    static const char *const sockets[] = {NULL, "", "/", "relative", long_path, "/no/such/socket"};
    struct service service;
    for (size_t i = 0; i < sizeof sockets / sizeof sockets[0]; i++) {
        environment(sockets[i], NULL, NULL);
        service_open(&service, 7);
        service_ready(&service, 1);
        service_stopping(&service);
        assert_string_equal(heard(), "");
    }
    static const char *const times[] = {"", "-1", "10 s", "99999999999999999999"};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        environment(path, times[i], NULL);
        service_open(&service, 7);
        service_alive(&service, 1, true, 1);
        assert_string_equal(heard(), "");
    }
    environment(path, "10000000", "8"); /* somebody else's watchdog */
    service_open(&service, 7);
    service_alive(&service, 1, true, 1);
    assert_string_equal(heard(), "");
}

/* A manager that reads nothing: the node goes on. */
static void a_full_socket_holds_up_nobody(void **state)
{
    (void)state;
    struct service service;
    environment(path, NULL, NULL);
    service_open(&service, 7);
    for (int i = 0; i < 100000; i++)
        service_ready(&service, 1);
    while (heard()[0] != '\0')
        continue;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(start_and_stop_are_told),
        cmocka_unit_test(signs_of_life_come_twice_in_a_watchdog_time),
        cmocka_unit_test(silence_where_nobody_asked),
        cmocka_unit_test(a_full_socket_holds_up_nobody),
    };
    return cmocka_run_group_tests_name("service", tests, set_up, tear_down);
}
