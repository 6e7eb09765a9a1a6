/* What is undone of a dead link, and what is left for a person to judge; in a namespace of the test's own. */
#include "kernel-iface/journal.h"
#include "kernel-iface/repair.h"
#include "tests/unit/kernel-iface/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>

static bool usable;
static char folder[] = "/tmp/test_repair.XXXXXX", journal[64], other[64];
static char before[1 << 14], after[1 << 14], told[1024];

static const char list_all[] = "ip addr; ip route show table all; ip -6 route show table all; ip rule; ip -6 rule; "
                               "cat /proc/sys/net/ipv4/conf/all/src_valid_mark";
static const char make_state[] = "ip rule add not fwmark 77 table 77 protocol 109; "
                                 "ip rule add not fwmark 77 table main suppress_prefixlength 0 protocol 109; "
                                 "ip -6 route add throw fd66::/64 table 77 proto 109; "
                                 "sysctl -qw net.ipv4.conf.all.src_valid_mark=1";
static const char names_it[] = "was src_valid_mark 0\n"
                               "ours throw fd66::/64 table 77\n"
                               "ours rules ipv4 mark 77 table 77\n";

static void hear(void *arg, const char *step, bool removed)
{
        (void)arg;
        snprintf(told + strlen(told), sizeof told - strlen(told), "%s %s\n", removed ? "-" : "=", step);
}
static const struct host_teller teller = { .tell = hear };

static int begin(void **state)
{
        (void)state;
        if (!usable) return 0;
        *told = 0;
        return shell("ip link set lo up", NULL, 0) || shell(list_all, before, sizeof before);
}

static int end(void **state)
{
        (void)state;
        unlink(journal);
        unlink(other);
        return 0;
}

static void need_namespace(void)
{
        if (!usable) skip();
}

static void write_file(const char *path, const char *link, int ifindex, uint64_t netns, const char *lines)
{
        FILE *file = fopen(path, "w");

        assert_non_null(file);
        fprintf(file, "link %s %d %llu\n%s", link, ifindex, (unsigned long long)netns, lines);
        fclose(file);
}

static void repair(void)
{
        struct host_error error;

        if (!repair_link("wgt", journal, &teller, &error)) fail_msg("%s", error.text);
        assert_int_equal(access(journal, F_OK), -1);
}

static void assert_as_before(void)
{
        shell(list_all, after, sizeof after);
        assert_string_equal(after, before);
}

static void test_nothing_is_there(void **state)
{
        (void)state;
        need_namespace();
        repair();
        assert_string_equal(told, "");
        assert_as_before();
}

static void test_what_is_named_goes(void **state)
{
        (void)state;
        need_namespace();
        assert_int_equal(shell(make_state, NULL, 0), 0);
        write_file(journal, "wgt", 99, journal_netns(), names_it);
        repair();
        assert_string_equal(told, "= src_valid_mark 0\n- rules ipv4 mark 77 table 77\n- throw fd66::/64 table 77\n");
        assert_as_before();
        write_file(journal, "wgt", 99, journal_netns(), names_it);
        *told = 0;
        repair(); /* what is gone already */
        assert_string_equal(told, "");
        assert_as_before();
}

/* An interface that nobody holds, as no TUN of aditd is left but by a process that was broken into. */
static int make_persistent(const char *name)
{
        struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
        int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

        snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
        assert_int_equal(ioctl(fd, TUNSETIFF, &request), 0);
        assert_int_equal(ioctl(fd, TUNSETPERSIST, 1), 0);
        close(fd);
        return (int)if_nametoindex(name);
}

static void test_an_interface_that_is_left(void **state)
{
        (void)state;
        need_namespace();
        int ifindex = make_persistent("wgt");
        assert_int_equal(shell("ip link set wgt addrgenmode none; ip addr add 10.9.0.1/24 dev wgt", NULL, 0), 0);
        write_file(journal, "wgt", ifindex, journal_netns(), "was mtu 1500\nours address 10.9.0.1/24\n");
        repair();
        assert_string_equal(told, "- interface wgt\n");
        assert_as_before();
}

static void test_an_interface_of_others(void **state)
{
        static const char intact[] = "ip link show wgt | grep -q 'mtu 1500' && ip addr show wgt | grep -q 10.9.0.1";

        (void)state;
        need_namespace();
        int ifindex = make_persistent("wgt"); /* of the same name, but not the one that was changed */
        write_file(journal, "wgt", ifindex + 1, journal_netns(), "was mtu 1400\nours address 10.9.0.1/24\n");
        assert_int_equal(shell("ip addr add 10.9.0.1/24 dev wgt", NULL, 0), 0);
        repair();
        assert_int_equal(shell(intact, NULL, 0), 0);
        write_file(journal, "wgx", ifindex, journal_netns(), ""); /* of that index, but another name */
        repair();
        assert_int_equal(shell(intact, NULL, 0), 0);
        assert_int_equal(shell("ip link del wgt", NULL, 0), 0);
        assert_string_equal(told, "");
        assert_as_before();
}

/* A child in a network namespace of its own, until it is killed; *inode is that one's. */
static pid_t hold_namespace(uint64_t *inode)
{
        int ready[2];

        assert_return_code(pipe(ready), errno);
        pid_t pid = fork();
        if (!pid) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                uint64_t own = unshare(CLONE_NEWNET) ? 0 : journal_netns();
                if (write(ready[1], &own, sizeof own) != sizeof own) _exit(1);
                for (;;)
                        pause();
        }
        assert_int_equal(read(ready[0], inode, sizeof *inode), sizeof *inode);
        close(ready[0]);
        close(ready[1]);
        return pid;
}

static void test_another_namespace(void **state)
{
        struct host_error error;
        uint64_t elsewhere;
        char enter[64];

        (void)state;
        need_namespace();
        pid_t pid = hold_namespace(&elsewhere);
        assert_int_not_equal(elsewhere, 0);
        assert_int_equal(shell(make_state, NULL, 0), 0);
        write_file(journal, "wgt", 99, elsewhere, names_it);
        bool repaired = repair_link("wgt", journal, &teller, &error);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        assert_false(repaired);
        assert_int_equal(error.error, EXDEV);
        snprintf(enter, sizeof enter, "nsenter --net=/proc/%d/ns/net adit repair wgt", (int)pid);
        assert_non_null(strstr(error.text, enter));
        assert_int_equal(access(journal, F_OK), 0);

        write_file(journal, "wgt", 99, 1, names_it); /* which no namespace has: it is gone */
        repair();
        assert_string_equal(told, "");
        assert_int_equal(shell("ip rule | grep -q 'fwmark 0x4d'", NULL, 0), 0);
        write_file(journal, "wgt", 99, journal_netns(), names_it);
        repair();
        assert_as_before();
}

static void test_a_damaged_journal(void **state)
{
        static const char *const texts[] = { "", "garbage\n", "link wgt 99 1\nours rules ipv4 mark 77 tab" };
        struct host_error error;
        char text[PLAN_TEXT], dirty[sizeof before];
        struct plan_state orphans;

        (void)state;
        need_namespace();
        assert_int_equal(shell(make_state, NULL, 0), 0);
        assert_int_equal(
                shell("ip rule add not fwmark 78 table 78 protocol 109; ip rule add fwmark 79 table 79", NULL, 0), 0);
        shell(list_all, dirty, sizeof dirty);
        write_file(other, "wgx", 98, journal_netns(), "ours rules ipv4 mark 78 table 78\n");
        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
                FILE *file = fopen(journal, "w");
                fputs(texts[i], file);
                fclose(file);
                assert_false(repair_link("wgt", journal, &teller, &error));
                assert_int_equal(error.error, EINVAL);
                assert_non_null(strstr(error.text, journal));
                assert_int_equal(access(journal, F_OK), 0);
        }
        assert_string_equal(told, "");
        shell(list_all, after, sizeof after);
        assert_string_equal(after, dirty);

        /* not the other link's, and not what bears no mark of ours */
        assert_int_equal(repair_orphans("wgt", journal, &orphans), 0);
        assert_int_equal(orphans.count, 2);
        plan_print(&orphans.items[0], text);
        assert_string_equal(text, "throw fd66::/64 table 77");
        plan_print(&orphans.items[1], text);
        assert_string_equal(text, "rules ipv4 mark 77 table 77");
        plan_free(&orphans);

        write_file(journal, "wgt", 99, journal_netns(), names_it);
        repair();
        assert_int_equal(repair_orphans("wgt", journal, &orphans), 0);
        assert_int_equal(orphans.count, 0);
        plan_free(&orphans);
        assert_int_equal(shell("ip rule del fwmark 79 table 79 && ip rule del not fwmark 78 table 78", NULL, 0), 0);
        assert_as_before();
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_nothing_is_there, begin, end),
                cmocka_unit_test_setup_teardown(test_what_is_named_goes, begin, end),
                cmocka_unit_test_setup_teardown(test_an_interface_that_is_left, begin, end),
                cmocka_unit_test_setup_teardown(test_an_interface_of_others, begin, end),
                cmocka_unit_test_setup_teardown(test_another_namespace, begin, end),
                cmocka_unit_test_setup_teardown(test_a_damaged_journal, begin, end),
        };

        usable = netns_enter();
        if (usable && !mkdtemp(folder)) return 1;
        snprintf(journal, sizeof journal, "%s/wgt.state", folder);
        snprintf(other, sizeof other, "%s/wgx.state", folder);
        int failed = cmocka_run_group_tests(tests, NULL, NULL);
        if (usable) rmdir(folder);
        return failed;
}
