/* target/program: what is found, what is followed, and what is refused before it is started. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "target/program.h"
#include "target/recorder_path.h"

static char folder[] = "/tmp/seep-program-XXXXXX";
static char a_program[PATH_MAX];

static int enter_folder(void **state)
{
	/* Not a copy of this test: it may be built with a sanitizer, and is refused then. */
	const char *found = realpath("/bin/true", a_program);

	(void)state;
	return found && mkdtemp(folder) && !chmod(folder, 0755) && !chdir(folder) ? 0 : -1;
}

static int leave_folder(void **state)
{
	(void)state;
	return system("rm -rf \"$PWD\"") == 0 && chdir("/") == 0 ? 0 : -1;
}

static void make(const char *path, const char *text, mode_t mode)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void copy_program(const char *path, mode_t mode)
{
	char command[8300];

	snprintf(command, sizeof(command), "cp '%s' '%s'", a_program, path);
	assert_int_equal(system(command), 0);
	assert_int_equal(chmod(path, mode), 0);
}

/* The message, or "" when the program may be recorded; the hint in *ret_hint when wanted. */
static const char *opened(const char *name, const char **ret_hint)
{
	static struct error e;
	struct program p;
	int r;

	memset(&e, 0, sizeof(e));
	r = program_open(name, &p, &e);
	if (ret_hint)
		*ret_hint = e.hint;
	if (r == 0)
		program_release(&p);
	else
		assert_int_equal(e.status, EXIT_TARGET);
	return e.message;
}

static void finds_what_execvp_would(void **state)
{
	struct program p;
	const char *hint;

	(void)state;
	assert_int_equal(mkdir("a", 0755), 0);
	assert_int_equal(mkdir("b", 0755), 0);
	assert_int_equal(mkdir("a/tool", 0755), 0);
	copy_program("b/tool", 0755);
	copy_program("tool", 0755);
	setenv("PATH", "a:nowhere:b", 1);
	assert_int_equal(program_open("tool", &p, NULL), 0);
	assert_string_equal(p.path, "b/tool");
	assert_string_equal(p.image, "b/tool");
	assert_false(p.by_shell);
	program_release(&p);
	program_release(&p);
	setenv("PATH", "a::b", 1);
	assert_int_equal(program_open("tool", &p, NULL), 0);
	assert_string_equal(p.path, "./tool");
	program_release(&p);
	setenv("PATH", "a", 1);
	assert_string_equal(opened("tool", &hint), "cannot run 'tool': No such file or directory");
	assert_string_equal(hint, "the one in this folder is './tool'");
	opened("no-such-tool", &hint);
	assert_string_equal(hint, "no folder of PATH holds a program of this name");
	assert_string_equal(opened("", NULL), "cannot run '': No such file or directory");
	unsetenv("PATH");
	assert_string_equal(opened("sh", NULL), "");
	setenv("PATH", "/usr/bin:/bin", 1);
}

static void a_file_in_the_way_is_named(void **state)
{
	const char *hint;

	(void)state;
	assert_int_equal(mkdir("c", 0755), 0);
	make("c/plain", "echo\n", 0644);
	setenv("PATH", "c", 1);
	assert_string_equal(opened("plain", &hint), "cannot run 'c/plain': Permission denied");
	assert_string_equal(hint, "the file is not marked as executable (chmod +x)");
	setenv("PATH", "/usr/bin:/bin", 1);
	assert_string_equal(opened("./c/plain", NULL), "cannot run './c/plain': Permission denied");
	assert_string_equal(opened("./c", NULL), "cannot run './c': Is a directory");
	assert_string_equal(opened("c/plain/x", NULL), "cannot run 'c/plain/x': Not a directory");
	assert_string_equal(opened("./none", NULL),
			    "cannot run './none': No such file or directory");
}

static void follows_scripts_to_the_program(void **state)
{
	struct program p;

	(void)state;
	make("one", "#!/bin/sh\n", 0755);
	make("two", "#! ./one arg\n", 0755);
	make("text", "echo\n", 0755);
	assert_int_equal(program_open("./two", &p, NULL), 0);
	assert_string_equal(p.path, "./two");
	assert_string_equal(p.image, "/bin/sh");
	assert_false(p.by_shell);
	program_release(&p);
	assert_int_equal(program_open("./text", &p, NULL), 0);
	assert_string_equal(p.path, "./text");
	assert_string_equal(p.image, "/bin/sh");
	assert_true(p.by_shell);
	program_release(&p);
}

static void scripts_that_lead_nowhere(void **state)
{
	const char *hint;

	(void)state;
	make("lost", "#!/nonexistent/python\n", 0755);
	make("dos", "#!/bin/sh\r\n", 0755);
	make("loop", "#!./loop\n", 0755);
	make("to-folder", "#!/usr\n", 0755);
	make("to-text", "#!./words\n", 0755);
	make("words", "words\n", 0755);
	assert_string_equal(opened("./lost", &hint), "cannot run './lost': its interpreter "
						     "'/nonexistent/python': No such file or "
						     "directory");
	assert_string_equal(hint, "the first line of the script names it");
	opened("./dos", &hint);
	assert_non_null(strstr(hint, "DOS line ends"));
	assert_string_equal(opened("./loop", NULL),
			    "cannot run './loop': no program behind its #! line");
	assert_string_equal(opened("./to-text", NULL),
			    "cannot run './to-text': no program behind its #! line");
	assert_non_null(strstr(opened("./to-folder", NULL), "'/usr': Is a directory"));
}

static void files_that_are_no_programs(void **state)
{
	(void)state;
	make("empty", "", 0755);
	make("cut",
	     "\x7f"
	     "ELF\x02\x01\x01",
	     0755);
	make("data", "", 0755);
	assert_int_equal(truncate("data", 100), 0);
	assert_string_equal(opened("./empty", NULL), "cannot run './empty': the file is empty");
	assert_string_equal(opened("./cut", NULL),
			    "cannot run './cut': the program file is cut short or damaged");
	assert_string_equal(opened("./data", NULL),
			    "cannot run './data': it is neither a program nor a script");
	assert_int_equal(mkfifo("fifo", 0755), 0);
	assert_string_equal(opened("./fifo", NULL), "cannot run './fifo': Permission denied");
}

/* As another user than the one that a set-user-ID file is owned by. */
static void privileged_programs_are_refused(void **state)
{
	const char *hint;

	(void)state;
	if (geteuid() != 0) {
		print_message("only root can make files of other users\n");
		skip();
	}
	copy_program("setuid", 0755);
	assert_int_equal(chown("setuid", 12345, getgid()), 0);
	assert_int_equal(chmod("setuid", 04755), 0);
	copy_program("setgid", 0755);
	assert_int_equal(chown("setgid", getuid(), 12345), 0);
	assert_int_equal(chmod("setgid", 02755), 0);
	make("script", "#!./setuid\n", 0755);
	assert_string_equal(opened("./setuid", &hint),
			    "cannot record './setuid': it runs as another user (set-user-ID)");
	assert_non_null(strstr(hint, "preloaded"));
	assert_string_equal(opened("./setgid", NULL),
			    "cannot record './setgid': it runs as another group (set-group-ID)");
	assert_string_equal(opened("./script", NULL),
			    "cannot record './setuid': it runs as another user (set-user-ID)");
	assert_int_equal(chmod("setgid", 02745), 0); /* a mark for locking, no privilege */
	assert_string_equal(opened("./setgid", NULL), "");
	assert_int_equal(chown("setuid", getuid(), getgid()), 0);
	assert_int_equal(chmod("setuid", 04755), 0);
	assert_string_equal(opened("./setuid", NULL), "");
}

static void privileges_that_exec_would_not_grant(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0) {
		print_message("only root can make files of other users\n");
		skip();
	}
	copy_program("nobodys", 0755);
	assert_int_equal(chown("nobodys", 12345, getgid()), 0);
	assert_int_equal(chmod("nobodys", 04755), 0);
	pid = fork();
	if (pid == 0) {
		bool ok = *opened("./nobodys", NULL) && !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
			  !*opened("./nobodys", NULL);

		_exit(ok ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void unreadable_programs_are_let_pass(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	copy_program("secret", 0711);
	pid = fork();
	if (pid == 0) {
		if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
			_exit(2);
		if (geteuid() != 65534 && chmod("secret", 0111) < 0)
			_exit(3);
		_exit(*opened("./secret", NULL) ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void recorder_is_a_path_that_the_loader_takes(void **state)
{
	struct error e = {0};
	char *path;

	(void)state;
	make("plain.so", "x", 0644);
	make("with blank.so", "x", 0644);
	assert_int_equal(recorder_path("plain.so", false, &path, &e), 0);
	assert_true(path[0] == '/' && strstr(path, "/plain.so"));
	free(path);
	assert_int_equal(recorder_path("with blank.so", false, &path, &e), -EINVAL);
	assert_non_null(strstr(e.hint, "blank"));
	assert_int_equal(recorder_path("none.so", false, &path, &e), -ENOENT);
	assert_int_equal(recorder_path("/tmp", false, &path, &e), -EINVAL);
	setenv(RECORDER_VARIABLE, "plain.so", 1);
	assert_int_equal(recorder_path(NULL, false, &path, &e), 0);
	assert_non_null(strstr(path, "/plain.so"));
	free(path);
	unsetenv(RECORDER_VARIABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_execvp_would),
		cmocka_unit_test(a_file_in_the_way_is_named),
		cmocka_unit_test(follows_scripts_to_the_program),
		cmocka_unit_test(scripts_that_lead_nowhere),
		cmocka_unit_test(files_that_are_no_programs),
		cmocka_unit_test(privileged_programs_are_refused),
		cmocka_unit_test(privileges_that_exec_would_not_grant),
		cmocka_unit_test(unreadable_programs_are_let_pass),
		cmocka_unit_test(recorder_is_a_path_that_the_loader_takes),
	};

	return cmocka_run_group_tests_name("program", tests, enter_folder, leave_folder);
}
